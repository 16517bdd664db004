"""`scm data` and `scm model`: what they print, exit codes, and that a name is an input."""

import json
import shutil
from pathlib import Path

import pytest
import requests
from typer.testing import CliRunner

from sc_mamba2.cells.simulate import simulate_cells
from sc_mamba2.commands import app

ROOT = Path(__file__).parents[2]


def invoke(*words):
    return CliRunner().invoke(app, [*map(str, words)])


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Give a project without DVC, and work in it."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_list_names_every_data_set_with_its_state(project):
    result = invoke("data", "list")
    assert result.exit_code == 0, result.output
    rows = {row["name"]: row for row in json.loads(invoke("data", "list", "--json").output)}
    assert len(rows) > 20 and rows["norman"]["state"] == "absent"
    assert all(name in result.output for name in rows)
    one = invoke("data", "list", "norman").output
    assert "10.1126/science.aax4438" in one and "read it at the source" in one


def test_without_a_network_there_is_one_message_and_no_file(project, monkeypatch):
    def unreachable(*_, **__):
        raise requests.ConnectionError("no route")

    monkeypatch.setattr(requests, "get", unreachable)
    result = invoke("data", "pull", "pbmc3k")
    assert result.exit_code == 2
    assert result.output.startswith("Error (network)") and "no route" in result.output
    assert "Traceback" not in result.output
    assert not any(path.is_file() for path in (project / "data/01_raw").rglob("*"))


def test_what_was_put_there_is_taken_in_used_by_name_and_verified(project):
    folder = project / "data/01_raw/myeloid"
    folder.mkdir(parents=True)
    simulate_cells().write_h5ad(folder / "train.h5ad")
    result = invoke("data", "pull", "myeloid")
    assert result.exit_code == 0, result.output
    assert "data:myeloid" in result.output
    valid = invoke("validate", "data:myeloid", "--label-key", "cell_type")
    assert valid.exit_code == 0 and "150," in valid.output
    assert "myeloid: as recorded" in invoke("data", "verify").output
    assert json.loads(invoke("data", "verify", "--json").output) == {"verified": ["myeloid"]}
    again = invoke("data", "pull", "myeloid", "--json")
    told = json.loads(again.stdout)
    assert told["input"] == "data:myeloid" and told["shape"]["cells"] == 150
    assert invoke("data", "pull", "myeloid", "--quiet").output.split() == [str(folder)]
    with (folder / "train.h5ad").open("ab") as file:
        file.write(b"more")
    result = invoke("data", "verify", "myeloid")
    assert result.exit_code == 2
    assert "changed: train.h5ad" in result.output and "data-changed" in result.output


def test_outside_a_project_only_the_lists_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert invoke("data", "list").exit_code == 0
    assert "scm-tiny" in invoke("model", "list").output
    assert "norman" in invoke("data", "list", "--quiet").output.split()
    for words in (("data", "verify"), ("data", "pull", "pbmc3k"), ("model", "pull", "x")):
        result = invoke(*words)
        assert result.exit_code == 2 and "project-missing" in result.output


def test_a_model_goes_nowhere_without_dvc(project):
    result = invoke("model", "push", ROOT / "src/sc_mamba2/checkpoints/scm-tiny", "--name", "mine")
    assert result.exit_code == 2 and "dvc-project" in result.output
    assert not (project / "data").exists()
