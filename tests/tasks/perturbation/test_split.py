import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from tests.properties import promised

from sc_mamba2.errors import UserError
from sc_mamba2.tasks.perturbation.params import SplitParams
from sc_mamba2.tasks.perturbation.split import check_leak, draw_validation, split_cells

NAMES = ["control", "A", "B", "C", "D", "A+B", "B+C"]


def table(cells: int = 12) -> pd.DataFrame:
    rows = [(name, context) for name in NAMES for context in ("x", "y", "z") for _ in range(cells)]
    return pd.DataFrame(rows, columns=["perturbation", "context"]).rename(index=str)


def split(given_parts: pd.Series | None = None, seed: int = 0, **params) -> pd.Series:
    return split_cells(table(), "control", given_parts, SplitParams(**params), seed)


def names(parts: pd.Series, part: str, column: str = "perturbation") -> set[str]:
    cells = table()[(parts == part).to_numpy()]
    return set(cells.loc[cells["perturbation"] != "control", column])


@promised
@given(
    st.sampled_from(["unseen_perturbation", "unseen_combination", "unseen_context"]),
    st.integers(0, 20),
)
def test_held_out_names_are_on_one_side_only(kind, seed):
    parts = split(kind=kind, seed=seed)
    column = "context" if kind == "unseen_context" else "perturbation"
    trained, held = names(parts, "train", column), names(parts, "test", column)
    assert trained and held and not trained & held
    if kind == "unseen_combination":
        assert all("+" in name for name in held)
    controls = parts[(table()["perturbation"] == "control").to_numpy()]
    assert controls.value_counts().to_dict() == {"train": 18, "test": 18}


def test_named_perturbations_are_held_out_and_the_rest_is_cut_to_a_number():
    parts = split(held_out=("A", "A+B"), most_cells=5)
    assert names(parts, "test") == {"A", "A+B"}
    counts = table()[(parts == "train").to_numpy()]["perturbation"].value_counts()
    assert counts.drop("control").to_dict() == dict.fromkeys(["B", "C", "D", "B+C"], 5)


def test_random_cells_share_names():
    parts = split(kind="random_cells")
    assert names(parts, "train") == names(parts, "test") == set(NAMES) - {"control"}


def test_a_column_may_say_it_and_a_leak_is_found():
    given_parts = table()["perturbation"].isin(["A", "control"]).map({True: "test", False: "train"})
    assert names(split(given_parts, key="part"), "test") == {"A"}
    leaky = given_parts.copy()
    leaky.iloc[np.flatnonzero(table()["perturbation"] == "A")[0]] = "train"
    with pytest.raises(UserError, match=r"split-leak.*'A'"):
        split(leaky, key="part")
    with pytest.raises(UserError, match="split-column"):
        split(given_parts.replace("test", "valid"), key="part")


def test_a_leak_is_looked_for_in_any_split():
    parts = pd.Series("train", index=table().index)
    parts.iloc[40] = "test"
    check_leak(table(), parts, "control", "random_cells")
    with pytest.raises(UserError, match="split-leak"):
        check_leak(table(), parts, "control", "unseen_perturbation")


@pytest.mark.parametrize(
    ("params", "rule"),
    [
        ({"held_out": ("E",)}, "split-name"),
        ({"held_out": tuple(NAMES[1:])}, "split-impossible"),
    ],
)
def test_what_cannot_be_held_out_is_refused(params, rule):
    with pytest.raises(UserError, match=rule):
        split(**params)


@pytest.mark.parametrize("kind", ["unseen_combination", "unseen_perturbation", "unseen_context"])
def test_one_of_a_kind_cannot_be_held_out(kind):
    few = table()[table()["perturbation"].isin(["control", "A"])].assign(context="x")
    with pytest.raises(UserError, match="split-impossible"):
        split_cells(few, "control", None, SplitParams(kind=kind), 0)


def test_validation_holds_out_what_the_split_does():
    rows = table()[table()["perturbation"] != "control"].drop_duplicates()
    for kind, column in (("unseen_perturbation", "perturbation"), ("unseen_context", "context")):
        judges = draw_validation(rows, kind, 0.2, 0)
        assert 0 < judges.sum() < len(rows)
        assert not set(rows[column][judges]) & set(rows[column][~judges])
    assert not draw_validation(rows.iloc[:1], "unseen_perturbation", 0.2, 0).any()
