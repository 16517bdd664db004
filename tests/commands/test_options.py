"""Options that several verbs share."""

from pathlib import Path

import pytest

from sc_mamba2.commands.options import resolve_source
from sc_mamba2.runs import session
from sc_mamba2.runs.selection import Selection, given_params


def test_a_path_stays_what_it_is_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve_source("cells/*.h5ad") == str(tmp_path / "cells" / "*.h5ad")
    assert resolve_source("/data/a.h5ad") == "/data/a.h5ad"
    assert resolve_source("scanpy:pbmc68k_reduced") == "scanpy:pbmc68k_reduced"
    assert resolve_source("a/b:c.h5ad") == str(tmp_path / "a" / "b:c.h5ad")
    assert resolve_source(None) is None


def test_options_that_were_not_given_say_nothing_and_params_say_the_last_word():
    chosen = {"a.b": 1, "a.c": None, "input": "x"}
    assert given_params(chosen, ["a.b=2", "d.e=null"]) == {
        "a": {"b": 2},
        "input": "x",
        "d": {"e": None},
    }
    assert given_params({}, None) == {}


@pytest.mark.parametrize("below", [".", "notebooks"])
def test_a_project_runs_in_its_own_folder(tmp_path, monkeypatch, below):
    """Paths in its parameters are relative, and mean the same from all of its folders."""
    (tmp_path / "notebooks").mkdir()
    seen = []
    monkeypatch.setattr(session, "bootstrap_project", lambda project: None)
    monkeypatch.setattr(session, "_run", lambda *arguments: seen.append((Path.cwd(), arguments[2])))
    monkeypatch.chdir(tmp_path / below)
    session.run_in_project(Selection(conf_source="conf"), tmp_path)
    assert seen == [(tmp_path, tmp_path / below / "conf")]
    assert Path.cwd() == tmp_path / below
