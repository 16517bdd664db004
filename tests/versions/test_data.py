import pytest

from sc_mamba2.errors import UserError
from sc_mamba2.versions import dvc
from sc_mamba2.versions.data import add, verify


def test_a_folder_is_data_too_and_every_file_of_it_is_hashed(project, tmp_path):
    source = tmp_path / "cells.zarr"
    (source / "X").mkdir(parents=True)
    for name in ("zarr.json", "X/0"):
        (source / name).write_text(name)
    assert add(project, source, "folder").remarks  # it is no file of cells, and kept all the same
    (project / "data/01_raw/folder/cells.zarr/X/0").write_text("other")
    (project / "data/01_raw/folder/cells.zarr/X/1").write_text("new")
    assert verify(project, "folder") == ["changed: cells.zarr/X/0", "new: cells.zarr/X/1"]


def test_a_name_is_taken_once(project, cells_file):
    added = add(project, cells_file, "mine")
    assert added.shape["cells"] and not added.remarks and added.pointers[0].is_file()
    for name, rule in (("mine", "data-exists"), ("pbmc3k", "data-exists"), ("../x", "data-name")):
        with pytest.raises(UserError, match=rule):
            add(project, cells_file, name)


def test_a_folder_is_not_copied_into_itself(project):
    before = sorted(project.rglob("*"))
    with pytest.raises(UserError, match="output-is-input"):
        add(project, project, "self")
    assert sorted(project.rglob("*")) == before


def test_without_dvc_nothing_is_copied(tmp_path, cells_file, monkeypatch):
    with pytest.raises(UserError, match="dvc-project"):
        add(tmp_path, cells_file, "mine")
    monkeypatch.setattr(dvc.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="dvc-missing"):
        add(tmp_path, cells_file, "mine")
    assert list(tmp_path.iterdir()) == []


def test_what_was_never_hashed_cannot_be_verified(tmp_path):
    for name, rule in (
        ("pbmc3k", "data-unrecorded"),
        ("pbmc3", "data-unknown.*did you mean 'pbmc3k'"),
    ):
        with pytest.raises(UserError, match=rule):
            verify(tmp_path, name)


def test_a_damaged_manifest_is_refused(tmp_path):
    (tmp_path / "data").mkdir()
    for text in ("{", '{"format": 9}', '{"data": {"a": {}}}'):
        (tmp_path / "data/manifest.json").write_text(text)
        with pytest.raises(UserError, match="manifest-damaged"):
            verify(tmp_path, "pbmc3k")
