import shutil
import tomllib
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from sc_mamba2.errors import UserError
from sc_mamba2.runs import session
from sc_mamba2.runs.configuration import shipped_conf
from sc_mamba2.runs.records import read_record
from sc_mamba2.runs.selection import Selection

ROOT = Path(__file__).parents[2]


def test_the_shipped_configuration_needs_no_local_environment(tmp_path, monkeypatch):
    conf = tmp_path / "_conf"
    shutil.copytree(shipped_conf(), conf, ignore=shutil.ignore_patterns("local"))
    monkeypatch.setattr(session, "shipped_conf", lambda: conf)
    params = {"input": "simulated:three-types", "compute": {"deterministic": True}}
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    finished = session.run_in_folder(
        Selection(pipelines=("validation",), params=params), tmp_path / "run"
    )
    assert read_record(finished.record).code.threads == 1
    assert torch.get_num_threads() == before + 1  # as it was
    torch.set_num_threads(before)
    written = finished.written
    assert written["reference.validation_report"].is_file()
    assert all(path.is_relative_to(tmp_path) for path in written.values())


def test_the_wheel_ships_every_environment_but_the_persons_own():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    shipped = build["targets"]["wheel"]["force-include"]
    environments = {f"conf/{p.name}" for p in (ROOT / "conf").iterdir() if p.is_dir()}
    assert set(shipped) == environments - {"conf/local"}


def test_a_second_run_in_one_project_is_refused(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(session, "bootstrap_project", lambda project: None)
    with FileLock(tmp_path / "data" / ".scm.lock"), pytest.raises(UserError, match="run-locked"):
        session.run_in_project(Selection(pipelines=("validation",)), tmp_path)


def test_a_folder_of_data_outside_has_one_project(tmp_path):
    layers = tmp_path / "layers"
    projects = [tmp_path / name for name in ("one", "other")]
    for project in projects:
        project.mkdir()
        (project / "pyproject.toml").write_text("")
    one, other = projects
    places = {"data": str(layers)}
    assert session._written_folders(one, places) == [one / "data", layers]
    assert session._written_folders(one, {"data": "data/test"}) == [one / "data"]
    with pytest.raises(UserError, match="data-of-another"):
        session._written_folders(other, places)
    (one / "pyproject.toml").unlink()  # it is no more
    assert session._written_folders(other, places)
