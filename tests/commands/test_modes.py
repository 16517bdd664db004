"""How verbs answer: one JSON object and no more on stdout, paths alone, errors as JSON, no colour."""

import json
import logging
from pathlib import Path

import pytest
from tests.cli import entered, invoke
from tests.commands.test_help import COMMANDS

from sc_mamba2.runs import verbs
from sc_mamba2.runs.selection import Selection
from sc_mamba2.runs.session import Finished

SOURCE = "simulated:three-types"
METRICS = {
    "model": {"score": 0.5, "none": None},
    "baselines": {},
    "ablations": {},
    "run": {"run_id": "now"},
}


@pytest.fixture
def quick_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of a run: its two files."""

    def run(selection: Selection, folder: Path) -> Finished:
        written = {"embedding.embedded": folder / "cells.h5ad"}
        written["embedding.metrics"] = folder / "08_reporting" / "metrics.json"
        for path in written.values():
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(METRICS).replace("null", "NaN"))
        return Finished(written)

    monkeypatch.setattr(verbs, "run_in_folder", run)


def test_json_is_one_object_and_the_log_is_elsewhere(tmp_path):
    output = tmp_path / "genes.parquet"
    result = entered("embed", "--genes", output, "--json", "--verbose")
    assert output.is_file()
    assert json.loads(result.stdout)["outputs"] == {"genes": str(output)}
    assert "gene_table" in result.stderr


def test_json_holds_outputs_metrics_and_the_run(tmp_path, quick_run):
    output = tmp_path / "out.h5ad"
    answer = json.loads(entered("embed", SOURCE, "-o", output, "--json").stdout)
    assert answer.pop("outputs")["cells"] == str(output) and output.is_file()
    assert answer == {
        "run": METRICS["run"]["run_id"],
        "metrics": {key: METRICS[key] for key in METRICS if key != "run"},
    }


def test_quiet_is_the_places_of_the_results(tmp_path, quick_run):
    output = tmp_path / "out.h5ad"
    result = entered("embed", SOURCE, "-o", output, "--quiet")
    assert result.output.split() == [str(output), str(tmp_path / "out.scm" / "report.html")]
    assert logging.root.manager.disable == logging.NOTSET


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("annotate", "q.h5ad", "-o", "o.h5ad"), "options"),
        (("validate", "nowhere.h5ad"), "file-missing"),
        (("run", "--pipeline", "nothing"), "project-missing"),
        (("annotate", "--nothing"), "usage"),
        (("embed", "cells.h5ad", "-o", "o.h5ad", "--quiet", "--verbose"), "usage"),
        (("annotat",), "usage"),
        (("runs",), "project-missing"),
        (("compare", "one", "two"), "project-missing"),
        (("rerun", "one"), "project-missing"),
        (("data", "list", "nothing"), "data-unknown"),
        (("data", "add", "x.h5ad", "--name", "x"), "project-missing"),
        (("model", "pull", "nothing"), "project-missing"),
        (("viz", "--port", "65536"), "usage"),
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
    for words in (("validate", "nowhere.h5ad"), ("validate", "nowhere.h5ad", "--json")):
        result = invoke(*words, color=True)
        assert ("\x1b[" in result.output) == (coloured and "--json" not in words)


def test_every_verb_that_has_no_page_of_its_own_takes_both():
    shown = {" ".join(words): {one.name for one in command.params} for words, command in COMMANDS}
    groups = {"", "data", "model"}
    lacking = {name for name, has in shown.items() if not has >= {"quiet", "as_json"}}
    assert lacking == groups | {"viz"}
