"""A person's own project: begun, run, changed, compared, repeated; its notebook; in process."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from tests.cli import entered, refused

from sc_mamba2.cells import simulate_cells
from sc_mamba2.cells.readers import EMBEDDED
from sc_mamba2.runs.records import RECORD, list_runs, record_folder

pytestmark = pytest.mark.slow
QUICK = "annotation.fine_tune.max_epochs=1,annotation.ablations.names=[]"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("of") / "mine"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", "")  # Kedro adds the project's to both
        patch.syspath_prepend(str(folder / "src"))
        entered("init", folder)
        patch.chdir(folder)
        run = ("run", "--pipeline", "annotation", "--env", "test", "--quiet", "--params")
        entered(*run, QUICK)
        entered(*run, f"{QUICK},compute.seed=1")
        yield folder


def runs() -> list[dict]:
    return json.loads(entered("runs", "-p", "annotation", "--json").stdout)


def test_a_run_is_listed_with_what_it_was_made_of(project: Path):
    second, first = runs()
    assert first["state"] == second["state"] == "finished"
    record = first["record"]
    assert record["defaults"]["annotation.fine_tune.max_epochs"] == 30
    assert record["parameters"]["annotation.fine_tune.max_epochs"] == 1
    assert (
        "compute.seed" not in record["defaults"] and "compute.seed" in second["record"]["defaults"]
    )
    assert record["data"]["reference.raw_cells"]["sources"] == ["simulated:three-types"]
    metrics = project / "data/test/08_reporting/annotation/runs" / first["run_id"] / "metrics.json"
    model = json.loads(metrics.read_text("utf-8"))["model"]
    assert record["scores"]["annotation"]["model.accuracy"] == model["accuracy"]


def test_what_was_changed_is_what_differs(project: Path):
    first = runs()[-1]
    found = json.loads(entered("compare", first["run_id"], "latest", "--json").stdout)
    assert found["parameters"] == [{"name": "compute.seed", "first": 0, "second": 1}]
    assert found["data"] == found["code"] == [] and found["scores"]


def test_a_run_that_failed_is_kept_with_its_reason(project: Path):
    cells = simulate_cells(cells=20)
    cells.var_names = [f"made_up_{n}" for n in range(cells.n_vars)]
    cells.var = cells.var[[]]
    cells.write_h5ad(project / "unknown.h5ad")
    words = ("run", "--pipeline", "validation", "--input", "unknown.h5ad", "--quiet")
    refused(*words, rule="genes-unmatched")
    (run,) = json.loads(entered("runs", "-p", "validation", "--json").stdout)
    assert run["state"] == "failed" and "genes-unmatched" in run["record"]["error"]


def test_a_run_at_work_is_listed_as_running(project: Path, monkeypatch: pytest.MonkeyPatch):
    seen = []

    def look():
        seen.append(list_runs(project)[0].state)
        return simulate_cells()

    monkeypatch.setitem(EMBEDDED, "simulated:three-types", look)
    entered("run", "--pipeline", "validation", "--env", "test", "--quiet")
    newest = list_runs(project)[0]
    assert seen == ["running"] and newest.state == "finished"
    folder = record_folder(project / "data" / "test", newest.task, newest.run_id)
    assert [path.name for path in folder.iterdir()] == [RECORD]


def test_its_notebook_shows_the_last_run(project: Path):
    notebook = nbformat.read(project / "notebooks" / "results.ipynb", as_version=4)
    assert "%reload_kedro --env test" in notebook.cells[0].source
    notebook.cells.insert(2, nbformat.v4.new_code_cell("%reload_kedro --env test"))
    place = {"metadata": {"path": str(project / "notebooks")}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=place).execute()
    said = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = "".join(str(output.get("data", {}).get("text/plain", "")) for output in said)
    assert runs()[0]["run_id"] in shown and "logistic_regression" in shown


def test_a_run_is_repeated_exactly(project: Path):
    """The last here, for it adds a run. The configuration was changed since: it does not matter."""
    first = runs()[-1]
    conf = project / "conf" / "test" / "parameters.yml"
    conf.write_text(conf.read_text("utf-8").replace("variable_genes: 100", "variable_genes: 50"))
    text = entered("rerun", first["run_id"]).stdout
    assert "equal: " in text and "but" not in text
    again = runs()[0]
    assert again["record"]["repeats"] == first["run_id"] != again["run_id"]
    for part in ("parameters", "scores", "data"):
        assert again["record"][part] == first["record"][part]
