"""The user's error tells its four parts, crosses processes, and the nearest name is a near one."""

import pickle

import pytest
from hypothesis import given, strategies as st

from sc_mamba2.errors import UserError, nearest

PARTS = {"found": "2 cells", "expected": "3 cells", "mend": "add one"}


def test_the_parts_and_the_one_line():
    error = UserError("cells-few", **PARTS)
    assert (error.rule, error.found, error.expected, error.mend) == ("cells-few", *PARTS.values())
    assert str(error) == "[cells-few] found: 2 cells; expected: 3 cells; mend: add one"
    assert isinstance(error, ValueError)


@given(st.text(), st.text(), st.text(), st.text())
def test_pickled_and_back(rule, found, expected, mend):
    error = UserError(rule, found=found, expected=expected, mend=mend)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is UserError and vars(again) == vars(error) and str(again) == str(error)


def test_the_parts_are_named():
    with pytest.raises(TypeError):
        UserError("rule", "found", "expected", "mend")


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("cel_type", ["batch", "cell_type"], "; did you mean 'cell_type'?"),
        ("counts", ["counts"], "; did you mean 'counts'?"),
        ("anything", ["zebra"], ""),
        ("anything", [], ""),
        ("12", [13, 12], "; did you mean '12'?"),
    ],
)
def test_nearest(name, known, said):
    assert nearest(name, known) == said
