"""The named data sets of a project: valid names, the path of ``data:NAME``, and the manifest.

`data/manifest.json`, in git, has the sha256 of every file of every named data set (DVC's own hashes are
md5). A second file, not in git, has size and modification time of the files hashed on this machine, so
that `scm data list` need not hash again.
"""

import json
import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_file, file_facts, make_folder, sha256_of, sole_writer
from sc_mamba2.remote import local_copies, local_copy

RAW = Path("data/01_raw")
MANIFEST = Path("data/manifest.json")
PREFIX = "data:"
_HASHED = Path("data/.scm.hashed.json")


def check_name(name: str) -> None:
    """Raise rule `data-name` for an invalid name."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise UserError(
            "data-name",
            found=f"the name '{name}'",
            expected="lower-case letters, digits, - and _, such as pbmc_v1",
            mend="choose another name",
        )


def data_items(folder: Path) -> list[Path]:
    """List the files and folders directly in a data set's folder, without DVC pointers."""
    items = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in items if not path.name.startswith(".") and path.suffix != ".dvc"]


def with_paths(value: Any, start: Path) -> Any:
    """Replace every ``data:NAME`` and URL in parameters by a path, also in ``rna=data:NAME``.

    `start` is a folder in or below the project. Raises as `path_of` and `local_copy`. In a list a URL may
    be a pattern.
    """
    if isinstance(value, dict):
        return {key: with_paths(part, start) for key, part in value.items()}
    if isinstance(value, list | tuple):
        parts = [one for part in value for one in _expanded(part)]
        return type(value)(with_paths(part, start) for part in parts)
    if not isinstance(value, str):
        return value
    head, equals, rest = value.partition("=")
    before, source = (head + equals, rest) if equals and head.isidentifier() else ("", value)
    return before + (path_of(source, start) if source.startswith(PREFIX) else local_copy(source))


def _expanded(part: Any) -> list[Any]:
    return local_copies(part) if isinstance(part, str) else [part]


def path_of(source: str, start: Path) -> str:
    """Return the path of ``data:NAME``, or of ``data:NAME/FILE`` if there are several files.

    Rule `data-absent`: there is no such data; rule `data-several`: a file has to be named.
    """
    name, _, inside = source.removeprefix(PREFIX).partition("/")
    check_name(name)
    root = next((one for one in (start, *start.parents) if (one / MANIFEST).is_file()), start)
    folder = root / RAW / name
    items = data_items(folder)
    if not items:
        raise UserError(
            "data-absent",
            found=f"nothing in '{folder}'",
            expected=f"the data set '{name}'",
            mend=f"scm data pull {name}, or scm data add FILE --name {name}",
        )
    chosen = [item for item in items if inside in ("", item.name)]
    if len(chosen) != 1:
        raise UserError(
            "data-several",
            found=f"'{source}' among {', '.join(item.name for item in items)}",
            expected="one of these",
            mend=f"specify it: data:{name}/{items[0].name}",
        )
    return str(chosen[0])


class _HashedFile(BaseModel, frozen=True, extra="forbid"):
    sha256: str
    size: int


class Entry(BaseModel, frozen=True, extra="forbid"):
    """A named data set: its files by path within its folder, their source, and its shape."""

    files: dict[str, _HashedFile]
    source: str
    shape: dict[str, int] = {}


class _Manifest(BaseModel, extra="forbid"):
    format: Literal[1] = 1
    data: dict[str, Entry] = {}


def read_manifest(root: Path) -> dict[str, Entry]:
    """Return the recorded data sets of a project by name (raises rule `manifest-damaged`)."""
    path = root / MANIFEST
    try:
        return _Manifest.model_validate_json(path.read_bytes() if path.is_file() else "{}").data
    except ValidationError as error:
        raise UserError(
            "manifest-damaged",
            found=f"{path}: {error.errors()[0]['msg']} {error.errors()[0]['loc'] or ''}".strip(),
            expected="the manifest of named data, format 1",
            mend="restore it from git: git checkout data/manifest.json",
        ) from error


def record(root: Path, name: str, source: str, shape: dict[str, int]) -> None:
    """Hash the files of a data set and write its entry into the manifest."""
    entry = Entry(files=_hashes(root / RAW / name), source=source, shape=shape)
    data = dict(sorted((read_manifest(root) | {name: entry}).items()))
    _write_json(root / MANIFEST, _Manifest(data=data).model_dump())
    note_hashed(root, name)


def differences(recorded: Entry, folder: Path) -> list[str]:
    """Hash the files of a folder and return which are missing, changed or new since the record."""
    was, now = recorded.files, _hashes(folder)
    found = [f"missing: {name}" for name in was if name not in now]
    found += [f"changed: {name}" for name in was if name in now and was[name] != now[name]]
    return found + [f"new: {name}" for name in now if name not in was]


def file_stamps(folder: Path) -> list[list[Any]]:
    """List path, size (bytes) and modification time (ns) of every file of a data set, at any depth."""
    facts = [fact for item in data_items(folder) for fact in file_facts(item)]
    return [[Path(path).relative_to(folder).as_posix(), *rest] for path, *rest in facts]


def note_hashed(root: Path, name: str) -> None:
    """Note that the files of a data set, as they are now, match the recorded hashes."""
    _write_json(root / _HASHED, _noted(root) | {name: file_stamps(root / RAW / name)})


def is_as_hashed(root: Path, name: str) -> bool:
    """Whether no file of a data set was changed since `note_hashed`."""
    return _noted(root).get(name) == file_stamps(root / RAW / name)


def sole_keeper(root: Path) -> AbstractContextManager[None]:
    """Return a lock that lets one process at a time change the named data of a project."""
    make_folder(root / "data")
    lock = root / "data" / ".scm.data.lock"
    return sole_writer(lock, to="the named data of this project", mend="wait for it")


def _hashes(folder: Path) -> dict[str, _HashedFile]:
    return {
        name: _HashedFile(sha256=sha256_of(folder / name), size=size)
        for name, size, _ in file_stamps(folder)
    }


def _noted(root: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((root / _HASHED).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # it only saves time
        return {}


def _write_json(path: Path, table: dict[str, Any]) -> None:
    with atomic_file(path) as draft:
        draft.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
