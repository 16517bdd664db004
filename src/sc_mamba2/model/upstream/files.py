"""Read the three files of a released folder without executing any code in them."""

import json
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sc_mamba2.errors import UserError
from sc_mamba2.files import sha256_of
from sc_mamba2.model.pretrained import RELEASED_TENSORS as TENSORS

ARGS, NAMES = "args.json", "vocab.json"
_FETCH = "download the released folder again"


@dataclass(frozen=True)
class Release:
    """The content of a released folder.

    Parameters
    ----------
    state
        Tensors by released name, on the CPU; memory-mapped if the format allows it.
    args, names
        `args.json`, and `vocab.json`: symbol, or special token, to row.
    sha256
        Hash of `best_model.pt`.
    """

    state: dict[str, Tensor]
    args: dict[str, Any]
    names: dict[str, int]
    sha256: str


def read_release(folder: str | Path) -> Release:
    """Read a released folder: `best_model.pt`, `args.json` and `vocab.json`.

    Raises
    ------
    UserError
        Rules `upstream-folder` (a missing or unreadable file), `upstream-pickle` (a pickle with code),
        `upstream-damaged` (a damaged pickle), `upstream-tensors` (not a state dict), `upstream-args` and
        `upstream-vocabulary` (invalid JSON).
    """
    folder = Path(folder)
    missing = [name for name in (TENSORS, ARGS, NAMES) if not (folder / name).is_file()]
    if missing:
        raise UserError(
            "upstream-folder",
            found=f"no {' and no '.join(missing)} in '{folder}'",
            expected=f"a released folder with {TENSORS}, {ARGS} and {NAMES}",
            mend="give the downloaded folder, with files of these names",
        )
    try:
        args = _read_json(folder / ARGS, "upstream-args")
        names = _read_json(folder / NAMES, "upstream-vocabulary")
        sha256 = sha256_of(folder / TENSORS)
    except OSError as error:
        raise UserError(
            "upstream-folder",
            found=str(error),
            expected="files that can be read",
            mend="check the permissions of the folder, or copy it",
        ) from error
    return Release(_read_tensors(folder / TENSORS), args, names, sha256)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        # weights_only forbids the pickle's imports.
        mapped = zipfile.is_zipfile(path)
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except MemoryError:
        raise
    except pickle.UnpicklingError as error:
        if "Weights only load failed" not in str(error):
            raise _damaged(path, error) from error
        raise UserError(
            "upstream-pickle",
            found=f"'{path}' contains more than tensors; none of it was executed: {_reason(error)}",
            expected="a state dict: tensors by name",
            mend="do not load this file with other tools; download it from the authors again",
        ) from error
    # A damaged pickle can raise anything.
    except Exception as error:
        raise _damaged(path, error) from error
    if not isinstance(state, dict) or not state:
        raise _no_state(f"{type(state).__name__} in '{path}'")
    others = [key for key, value in state.items() if not _is_entry(key, value)]
    if others:
        raise _no_state(f"{others[0]!r:.100} in '{path}', which is not a named tensor")
    return dict(state)


def _is_entry(key: Any, value: Any) -> bool:
    dense = isinstance(value, Tensor) and value.layout == torch.strided
    return dense and isinstance(key, str) and key.isprintable()


def _read_json(path: Path, rule: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            raise ValueError("a duplicate name")
        return table

    try:
        table = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        found = f"'{path}': {error}"
        raise UserError(rule, found=found, expected="a JSON table", mend=_FETCH) from error
    if not isinstance(table, dict):
        raise UserError(rule, found=f"no table in '{path}'", expected="a JSON table", mend=_FETCH)
    return table


def _reason(error: Exception) -> str:
    """Return the line of torch's long message that names what was forbidden."""
    lines = [line.strip() for line in str(error).splitlines() if "WeightsUnpickler error" in line]
    return lines[0][:200] if lines else "forbidden content"


def _damaged(path: Path, error: Exception) -> UserError:
    lines = str(error).splitlines()
    return UserError(
        "upstream-damaged",
        found=f"'{path}' cannot be read: {lines[0][:200] if lines else type(error).__name__}",
        expected="a complete file written by torch.save",
        mend=_FETCH,
    )


def _no_state(found: str) -> UserError:
    return UserError(
        "upstream-tensors", found=found, expected="a state dict: dense tensors by name", mend=_FETCH
    )
