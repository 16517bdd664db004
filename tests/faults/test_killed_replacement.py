"""A write of a folder that is killed between its two renames: the older folder is found and put back."""

import os
import signal
from pathlib import Path

import pytest

from sc_mamba2.files import atomic_folder, clean_scratch, restored, scratch_folder


def replace(folder: str, renames: int) -> int:
    """Replace a folder, and die behind so many renames."""
    done, rename = [], Path.replace

    def fatal(self, target):
        if len(done) == renames:
            os.kill(os.getpid(), signal.SIGKILL)
        done.append(rename(self, target))

    Path.replace = fatal
    with atomic_folder(folder) as draft:
        (draft / "a").write_text("new")
    return 0


@pytest.fixture(params=["plain", "with [signs]?"])
def killed(zygote, tmp_path, request):
    """Give a function that returns a folder whose writer was killed behind so many renames."""

    def kill(renames):
        folder = tmp_path / request.param
        folder.mkdir()
        (folder / "a").write_text("old")
        code, _ = zygote.run(replace, folder=str(folder), renames=renames)
        assert code == (-signal.SIGKILL if renames < 2 else 0)
        return folder

    return kill


def test_between_the_renames_it_is_gone_and_comes_back_for_a_reader(killed, caplog):
    folder = killed(1)
    assert not folder.exists()
    assert restored(folder / "a").read_text() == "old"  # asked for what is inside of it
    assert "was restored" in caplog.text and [path.name for path in folder.parent.iterdir()] == [
        folder.name
    ]


@pytest.mark.parametrize("renames", [0, 2])
def test_before_and_behind_them_something_stands(killed, caplog, renames):
    folder = killed(renames)
    assert (restored(folder) / "a").read_text() == ("new" if renames else "old")
    assert not caplog.text


def test_the_next_writer_puts_it_back_first(killed):
    folder = killed(1)
    with pytest.raises(ValueError), atomic_folder(folder) as draft:
        (draft / "a").write_text("half")
        raise ValueError
    assert (folder / "a").read_text() == "old"


def test_it_is_put_back_before_litter_is_removed(killed):
    folder = killed(1)
    clean_scratch(folder.parent / "*")
    assert (folder / "a").read_text() == "old"


def test_a_writer_at_work_is_left_to_it(tmp_path):
    from filelock import FileLock

    with scratch_folder(tmp_path / "f") as scratch:
        (scratch / "replaced").mkdir()
        with FileLock(scratch / ".lock"):
            assert not restored(tmp_path / "f").exists()
        assert restored(tmp_path / "f").exists()


def test_a_verbs_folder_comes_back_at_its_next_start(tmp_path):
    from tests.cli import refused

    with scratch_folder(tmp_path / "out.scm") as scratch:
        (scratch / "replaced").mkdir()
        (scratch / "replaced" / "metrics.json").write_text("{}")
        words = ("annotate", "-r", "simulated:three-types", "-k", "cell_type", "-o")
        refused(*words, tmp_path / "out.h5ad", rule="output-exists")
    assert (tmp_path / "out.scm" / "metrics.json").is_file()


def test_a_checkpoint_comes_back_for_who_reads_it(tmp_path):
    import shutil

    from sc_mamba2.model import read_checkpoint
    from sc_mamba2.model.folder import checkpoint_folder

    with scratch_folder(tmp_path / "model") as scratch:
        shutil.copytree(checkpoint_folder("scm-tiny"), scratch / "replaced")
        assert read_checkpoint(tmp_path / "model").state
