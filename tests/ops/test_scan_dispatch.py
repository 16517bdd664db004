"""The choice of a path: by name, logged once, refused when unknown."""

import logging

import pytest

from sc_mamba2.errors import UserError
from sc_mamba2.ops import choose_path, dispatch


def test_auto_is_blocked_and_names_stand_for_themselves():
    assert choose_path("auto", "cpu") == "blocked"
    assert choose_path("reference", "cpu") == "reference"


def test_a_choice_is_logged_once(caplog):
    dispatch._choose.cache_clear()
    with caplog.at_level(logging.INFO, logger="sc_mamba2.ops.dispatch"):
        choose_path("auto", "cpu")
        choose_path("auto", "cpu")
    assert [record.getMessage() for record in caplog.records] == [
        "scan path on cpu: blocked (requested: auto)"
    ]


def test_an_unknown_path_is_refused():
    with pytest.raises(UserError, match=r"scan-path.*did you mean 'blocked'") as caught:
        choose_path("blockd", "cpu")
    assert caught.value.rule == "scan-path"
