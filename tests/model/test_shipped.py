"""Checkpoints by name."""

from pathlib import Path

import pytest

from sc_mamba2.errors import UserError
from sc_mamba2.model import checkpoint_folder, folder, read_checkpoint, shipped_checkpoints


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "checkpoints" / "scm-own").mkdir(parents=True)
    monkeypatch.setattr(folder, "files", lambda name: tmp_path)
    return tmp_path


def test_a_shipped_name_is_found_wherever_one_stands(package):
    assert shipped_checkpoints() == ["scm-own"]
    assert checkpoint_folder("scm-own") == package / "checkpoints" / "scm-own"
    assert checkpoint_folder("./scm-own") == Path("scm-own") == checkpoint_folder(Path("scm-own"))
    assert checkpoint_folder("data/scm-own") == Path("data/scm-own")


def test_a_name_that_is_nearly_right_is_told(package):
    with pytest.raises(UserError, match=r"checkpoint-folder.*scm-own"):
        read_checkpoint("scm-ow")


def test_a_package_without_checkpoints(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "files", lambda name: tmp_path)
    assert shipped_checkpoints() == []
