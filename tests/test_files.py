"""Files and folders appear whole or not at all, and an older one is never lost."""

import errno
import shutil
from pathlib import Path

import pytest

from sc_mamba2 import files
from sc_mamba2.errors import UserError
from sc_mamba2.files import (
    atomic_file,
    atomic_folder,
    clean_scratch,
    refused_write,
    remove_folder,
    sole_writer,
)


def everything(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"folder"
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("as_path", [str, Path])
def test_a_file_appears_at_the_end_with_its_suffix(tmp_path, as_path):
    path = tmp_path / "deep" / "table.parquet"
    with atomic_file(as_path(path)) as draft:
        assert draft.name == "table.parquet" and draft.parent.parent == path.parent
        draft.write_text("new")
        assert not path.exists()
    assert everything(tmp_path / "deep") == {"table.parquet": b"new"}


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_file(path) as draft:
        draft.write_text("new")
        assert path.read_text() == "old"
    assert everything(tmp_path) == {"a.txt": b"new"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("older", [True, False])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error, older):
    path = tmp_path / "a.txt"
    if older:
        path.write_text("old")
    with pytest.raises(error), atomic_file(path) as draft:
        draft.write_text("half")
        raise error
    assert everything(tmp_path) == ({"a.txt": b"old"} if older else {})


def test_a_file_that_was_not_written(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "a.txt"):
        pass
    assert everything(tmp_path) == {"a.txt": b"old"}


def test_a_folder_is_replaced_whole(tmp_path):
    for word in ("old", "new"):
        with atomic_folder(tmp_path / "deep" / "f") as draft:
            (draft / "sub").mkdir()
            (draft / "sub" / f"{word}.txt").write_text(word)
    assert everything(tmp_path / "deep") == {
        "f": b"folder", "f/sub": b"folder", "f/sub/new.txt": b"new",
    }  # fmt: skip


def test_a_folder_takes_the_place_of_a_file(tmp_path):
    (tmp_path / "f").write_text("old")
    with atomic_folder(tmp_path / "f") as draft:
        (draft / "a").write_text("new")
    assert everything(tmp_path) == {"f": b"folder", "f/a": b"new"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("older", [True, False])
def test_an_error_leaves_the_old_folder_and_nothing_else(tmp_path, error, older):
    if older:
        (tmp_path / "f").mkdir()
        (tmp_path / "f" / "a").write_text("old")
    before = everything(tmp_path)
    with pytest.raises(error), atomic_folder(tmp_path / "f") as draft:
        (draft / "a").write_text("half")
        raise error
    assert everything(tmp_path) == before


@pytest.mark.parametrize("failing", [1, 2])
def test_a_rename_that_fails_gives_the_old_folder_back(tmp_path, monkeypatch, failing):
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "a").write_text("old")
    before, replace, calls = everything(tmp_path), Path.replace, []

    def sometimes(self, target):
        calls.append(target)
        if len(calls) == failing:
            raise OSError("no")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", sometimes)
    with pytest.raises(OSError, match="no"), atomic_folder(tmp_path / "f") as draft:
        (draft / "a").write_text("new")
    assert everything(tmp_path) == before


def test_all_that_is_in_a_folder_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    done, sync, replace = [], files._sync, Path.replace

    def recorded_sync(path):
        done.append(path.name)
        sync(path)

    def recorded_replace(self, target):
        done.append("renamed")
        return replace(self, target)

    monkeypatch.setattr(files, "_sync", recorded_sync)
    monkeypatch.setattr(Path, "replace", recorded_replace)
    with atomic_folder(tmp_path / "new" / "f") as draft:
        (draft / "sub" / "deep").mkdir(parents=True)
        (draft / "sub" / "deep" / "a").write_text("a")
        (draft / "b").write_text("b")
        assert done == [tmp_path.name]  # which lists the new parent
    assert set(done[1:]) == {"sub", "deep", "a", "b", "f", "renamed", "new"}
    assert done.index("a") < done.index("deep") < done.index("sub") < done.index("f")
    assert done.index("b") < done.index("f")
    assert done[-2:] == ["renamed", "new"]


def test_an_interrupt_between_the_renames_gives_the_old_folder_back(tmp_path, monkeypatch):
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "a").write_text("old")
    before, replace, calls = everything(tmp_path), Path.replace, []

    def interrupted(self, target):
        calls.append(replace(self, target))
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "f") as draft:
        (draft / "a").write_text("new")
    assert everything(tmp_path) == before


def test_a_folder_is_removed_at_once(tmp_path, monkeypatch):
    (tmp_path / "f" / "sub").mkdir(parents=True)
    monkeypatch.setattr(shutil, "rmtree", lambda folder, **options: None)  # killed before it
    remove_folder(tmp_path / "f")
    monkeypatch.undo()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".f-")
    (tmp_path / ".f-mine").mkdir()
    clean_scratch(tmp_path / "f")
    assert everything(tmp_path) == {".f-mine": b"folder"}


def test_one_writer_at_a_time(tmp_path):
    with (
        sole_writer(tmp_path / "lock", to="a run", mend="wait"),
        pytest.raises(UserError, match="run-locked") as caught,
        sole_writer(tmp_path / "lock", to="this run", mend="wait"),
    ):
        pass
    assert "this run" in caught.value.found and caught.value.mend == "wait"
    with sole_writer(tmp_path / "lock", to="a run", mend="wait"):
        pass


@pytest.mark.parametrize(
    ("number", "rule"),
    [(errno.ENOSPC, "disk-full"), (errno.EROFS, "write-denied"), (errno.EACCES, "write-denied")],
)
def test_a_refused_write_is_told(number, rule):
    assert refused_write(OSError(number, "words", "place")).rule == rule
    assert refused_write(OSError(errno.EIO, "words")) is None
    assert refused_write(OSError("words")) is None
