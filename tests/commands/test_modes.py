"""How verbs answer: one JSON object and no more on stdout, paths alone, errors as JSON, no colour."""

import json
import logging

import pytest
from typer.testing import CliRunner

from sc_mamba2.cells.simulate import simulate_cells
from sc_mamba2.commands import app

QUICK = ("--params", "embedding.evaluation.untrained=false,embedding.evaluation.cells=20")


def invoke(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


def embed(folder, *words: str):
    simulate_cells(30, 200).write_h5ad(folder / "cells.h5ad")
    output = folder / "out.h5ad"
    cells = folder / "cells.h5ad"
    result = invoke("embed", cells, "-o", output, "--max-length", 40, *QUICK, *words)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return output, result


def test_json_is_one_object_with_outputs_metrics_and_the_run(tmp_path):
    output, result = embed(tmp_path, "--json", "--verbose")
    answer = json.loads(result.stdout)
    assert answer["outputs"]["cells"] == str(output) and output.is_file()
    written = json.loads((tmp_path / "out.scm" / "metrics.json").read_text())
    assert answer["run"] == written["run"]["run_id"]
    assert answer["metrics"] == {key: written[key] for key in ("model", "baselines", "ablations")}


def test_quiet_is_the_places_of_the_results(tmp_path):
    output, result = embed(tmp_path, "--quiet")
    assert result.output.split() == [str(output), str(tmp_path / "out.scm" / "report.html")]
    assert logging.root.manager.disable == logging.NOTSET


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("annotate", "q.h5ad", "-o", "o.h5ad"), "options"),
        (("validate", "nowhere.h5ad"), "file-missing"),
        (("run", "--pipeline", "nothing"), "project-missing"),
        (("annotate", "--nothing"), "usage"),
        (("validate", "cells.h5ad", "--quiet", "--verbose"), "usage"),
        (("annotat",), "usage"),
    ],
)
def test_errors_are_json_where_json_is_asked_for(words, rule, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = invoke(*words, "--json")
    assert result.exit_code == 2 and not result.stderr
    error = json.loads(result.stdout)["error"]
    assert error.keys() == {"rule", "found", "expected", "mend"} and error["rule"] == rule
    assert f"({rule})" in invoke(*words).stderr or rule == "usage"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("variable", "coloured"), [("NO_COLOR", False), ("FORCE_COLOR", True)])
def test_no_color_is_heeded(variable, coloured, monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "1")
    for words in (("validate", "nowhere.h5ad"), ("run", "--json")):
        result = CliRunner().invoke(app, words, color=True)
        assert ("\x1b[" in result.output) == (coloured and "--json" not in words)
