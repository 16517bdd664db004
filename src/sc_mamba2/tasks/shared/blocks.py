"""Results on disk, one file per block of cells; complete blocks are not recomputed."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_file, clean_scratch, make_folder, remove_folder

_IDENTITY = "identity.json"


def open_blocks(folder: Path, identity: dict[str, Any]) -> None:
    """Prepare a folder for blocks; only one process may call it at a time.

    Blocks of another identity (another file, checkpoint or option) are removed.

    Raises
    ------
    UserError
        Rule ``blocks-foreign``: the folder contains something else.
    """
    wanted = json.dumps(identity, indent=1, sort_keys=True)
    known = folder / _IDENTITY
    if folder.exists() and not known.is_file() and any(folder.iterdir()):
        raise UserError(
            "blocks-foreign",
            found=f"'{folder}' contains files that were not left by a run",
            expected="an empty folder, or none",
            mend="choose another folder for the blocks",
        )
    if known.is_file() and known.read_text(encoding="utf-8") != wanted:
        remove_folder(folder)
    make_folder(folder)
    clean_scratch(folder / "*")
    if not known.is_file():
        with atomic_file(known) as draft:
            draft.write_text(wanted, encoding="utf-8")


def write_block(folder: Path, start: int, **arrays: Any) -> None:
    """Write the named arrays of the block that begins with cell `start`, atomically."""
    with atomic_file(_path(folder, start)) as draft:
        np.savez(draft, **arrays)


def has_block(folder: Path, start: int) -> bool:
    """Whether the block that begins with cell `start` exists."""
    return _path(folder, start).is_file()


def read_block(folder: Path, start: int, what: str) -> np.ndarray:
    """Read one array of a block."""
    return read_arrays(folder, start, what)[what]


def read_arrays(folder: Path, start: int, *names: str) -> dict[str, np.ndarray]:
    """Read the named arrays of a block, or all."""
    with np.load(_path(folder, start), allow_pickle=False) as file:
        return {name: np.asarray(file[name]) for name in names or file.files}


def _path(folder: Path, start: int) -> Path:
    return folder / f"cells-{start:012d}.npz"
