"""Every notebook runs from top to bottom, without a network, and is stored without its outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from sc_mamba2.tasks.table import TASKS

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
SECONDS_A_CELL = 300


def test_there_is_one_a_task_and_a_first_one():
    tasks = {task.pipeline for task in TASKS.values()} | {"reverse_perturbation"}
    assert {path.stem for path in NOTEBOOKS} == tasks | {"quickstart"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_stored_without_outputs(path: Path):
    cells = nbformat.read(path, as_version=4).cells
    ran = [cell for cell in cells if cell.cell_type == "code"]
    assert ran
    assert not any(cell.outputs or cell.execution_count for cell in ran)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_draws_and_writes_nothing_where_it_lies(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=SECONDS_A_CELL,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    shown = [output for cell in code for output in cell.outputs if "data" in output]
    assert any("image/png" in output["data"] for output in shown)
    assert not list(tmp_path.iterdir())
