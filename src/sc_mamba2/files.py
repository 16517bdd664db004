"""Writes that are whole or not there: a file or a folder appears under its name only when it is done."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success sync it and rename it to `path`.

    The temporary name keeps the suffix, since many writers choose the format by it. On an error
    nothing is left behind and an older file stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(path) as folder:
        draft = folder / path.name
        yield draft
        _sync(draft)
        draft.replace(path)
        _sync(path.parent)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`; on success sync what is in it and put it in `path`'s place.

    An older folder of that name is set aside first and removed once the new one stands.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(path) as folder:
        draft = folder / path.name
        draft.mkdir()
        yield draft
        for part in (*draft.rglob("*"), draft):
            _sync(part)
        older = folder / "replaced"
        if path.exists():
            path.replace(older)
        try:
            draft.replace(path)
        except OSError:
            if older.exists():
                older.replace(path)
            raise
        _sync(path.parent)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Give a hidden folder beside `path`, on the same disk; it is removed in any case."""
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
