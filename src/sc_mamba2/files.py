"""Atomic writes: a file or folder appears under its name only once it is complete.

Also hashes, a lock for a single writer, and user errors for failed writes.
"""

import errno
import glob
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from filelock import FileLock, Timeout

from sc_mamba2.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DENIED = (errno.EACCES, errno.EROFS, errno.EPERM)
OLDER, _LOCK = "replaced", ".lock"  # in a scratch folder
_RANDOM_END = "-" + "?" * 8  # of `tempfile.mkdtemp`
_log = logging.getLogger(__name__)


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path on the same disk; on success sync it and rename it to `path`.

    It keeps the file name, since many writers choose the format by the suffix. On an error nothing is
    left behind and an older file is untouched.
    """
    path = Path(path)
    make_folder(path.parent)
    with scratch_folder(path) as folder:
        draft = folder / path.name
        yield draft
        _sync(draft)
        draft.replace(path)
        _sync(path.parent)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder on the same disk; on success sync all of it and rename it to `path`.

    An older folder of that name is moved aside first and removed after the rename. If the process is
    killed between the two renames, `restored` restores the older one.
    """
    path = restored(path)
    make_folder(path.parent)
    with scratch_folder(path) as folder:
        draft = folder / path.name
        draft.mkdir()
        yield draft
        # Deepest first: a folder on the disk then never lists an entry that is not.
        for part in (*sorted(draft.rglob("*"), reverse=True), draft):
            _sync(part)
        put_in_place(draft, path, folder)


def put_in_place(draft: Path, path: Path, scratch: Path) -> None:
    """Rename a draft to `path`, moving an older one into `scratch`; restore it on an error."""
    older, replaces = scratch / OLDER, path.exists()
    # The lock keeps `restored` from restoring the older one while we work.
    with FileLock(scratch / _LOCK, thread_local=False) if replaces else nullcontext():
        try:
            if replaces:
                path.replace(older)
            draft.replace(path)
        except BaseException:
            if older.exists() and not path.exists():
                older.replace(path)
            raise
    _sync(path.parent)


def restored(path: str | Path) -> Path:
    """Return `path`, after restoring what a killed `put_in_place` had moved aside there or in a parent.

    A live writer between its two renames is not disturbed.
    """
    path = Path(path)
    absent = next((one for one in (*reversed(path.parents), path) if not one.exists()), None)
    if absent is not None and absent.parent.is_dir():
        for folder in _scratch_of(absent.parent, glob.escape(absent.name)):
            if (folder / OLDER).exists() and _put_back(folder, absent):
                return restored(path)
    return path


def _put_back(scratch: Path, path: Path) -> bool:
    """Restore `path` from `scratch`; return whether it was done."""
    try:
        with FileLock(scratch / _LOCK, timeout=0, thread_local=False):
            if path.exists():
                return False
            (scratch / OLDER).replace(path)
            _sync(path.parent)
    except OSError:  # including `Timeout`: another process writes or restores
        return False
    shutil.rmtree(scratch, ignore_errors=True)
    _log.warning(
        "'%s' was restored: its writer was killed before the new version was complete.", path
    )
    return True


def remove_folder(path: Path) -> None:
    """Remove a folder atomically: rename it away, then delete its content."""
    with scratch_folder(path) as folder:
        path.replace(folder / path.name)
        _sync(path.parent)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Yield a hidden folder beside `path`, on the same disk; it is always removed."""
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clean_scratch(path: Path) -> None:
    """Remove what killed writers of `path` left beside it; only safe for the sole writer.

    The name may contain wildcards: ``Path("checkpoints/step-*")``. An older folder that was moved
    aside is restored first.
    """
    for folder in _scratch_of(path.parent, path.name):
        restored(path.parent / folder.name[1 : -len(_RANDOM_END)])
        shutil.rmtree(folder, ignore_errors=True)


def _scratch_of(parent: Path, name: str) -> list[Path]:
    return sorted(parent.glob(f".{name}{_RANDOM_END}"))


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, synced so that they survive a power loss."""
    missing = [part for part in (folder, *folder.parents) if not part.exists()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        _sync(made.parent)


def _sync(path: Path) -> None:
    """Flush a file or folder to the disk; does nothing on Windows, which cannot sync a read handle."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def sole_writer(lock: Path, *, to: str, mend: str) -> Iterator[None]:
    """Hold a lock while the block runs; the lock of a dead process is released.

    Parameters
    ----------
    lock
        The file to lock; its folder must exist.
    to
        What is written to, for the error message.
    mend
        What the second writer can do.

    Raises
    ------
    UserError
        Rule `run-locked`: another process, or another block of this one, holds it.
    """
    held = FileLock(lock, timeout=0, thread_local=False)
    try:
        held.acquire()
    except Timeout as error:
        raise UserError(
            "run-locked",
            found=f"another run writes to {to}",
            expected="one run at a time",
            mend=mend,
        ) from error
    try:
        yield
    finally:
        held.release()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_facts(path: Path) -> list[tuple[str, int, int]]:
    """Return path, size (bytes) and modification time (ns) of a file, or of every file in a folder."""
    inside = sorted(path.rglob("*")) if path.is_dir() else [path]
    facts = [(one, one.stat()) for one in inside if one.is_file()]
    return [(str(one), stat.st_size, stat.st_mtime_ns) for one, stat in facts]


def refused_write(error: OSError) -> UserError | None:
    """Return a `UserError` for a failed write (disk full, no permission), ``None`` for other errors."""
    if error.errno in _FULL:
        rule, mend = "disk-full", "free disk space, or write elsewhere with --output"
    elif error.errno in _DENIED:
        rule, mend = "write-denied", "choose a folder that you may write to"
    else:
        return None
    expected = "a folder with space that can be written"
    return UserError(rule, found=str(error), expected=expected, mend=mend)


def shipped_conf() -> Path:
    """Return the configuration folder shipped with the package, or that of the checkout."""
    package = Path(__file__).parent
    inside = package / "_conf"
    return inside if inside.is_dir() else package.parents[1] / "conf"
