"""`data/manifest.json`: the sha256 of every file of every named data set, kept in git.

DVC's own hashes are md5. Beside it, out of git, stands what was hashed on this machine and when it
was last changed, so that `scm data list` need not hash again.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_file, file_facts, make_folder, sha256_of, sole_writer

MANIFEST = Path("data/manifest.json")
_SEEN = Path("data/.scm.hashed.json")
_FORMAT = 1


class HashedFile(BaseModel):
    """A file as it was when it arrived."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    size: int


class Entry(BaseModel):
    """A named data set: its files by their path within its folder, and where they came from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: dict[str, HashedFile]
    source: str
    shape: dict[str, int] = {}


class Manifest(BaseModel):
    """All named data sets of a project."""

    model_config = ConfigDict(extra="forbid")

    format: int = _FORMAT
    data: dict[str, Entry] = {}


def read_manifest(root: Path) -> Manifest:
    """Read the manifest of a project; an empty one where there is none.

    Raises
    ------
    UserError
        Rule `manifest-damaged`.
    """
    path = root / MANIFEST
    if not path.is_file():
        return Manifest()
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise _damaged(path, str(error).splitlines()[-1].strip()) from error
    if manifest.format != _FORMAT:
        raise _damaged(path, f"format {manifest.format}")
    return manifest


def record(root: Path, name: str, entry: Entry | None) -> None:
    """Write a data set's entry into the manifest, or take it out."""
    manifest = read_manifest(root)
    manifest.data.pop(name, None)
    if entry is not None:
        manifest.data[name] = entry
    manifest.data = dict(sorted(manifest.data.items()))
    _write_json(root / MANIFEST, manifest.model_dump(mode="json"))


def hash_files(folder: Path) -> dict[str, HashedFile]:
    """Hash every file of a data set's folder; pointers of DVC and hidden files are none of it."""
    return {
        path.relative_to(folder).as_posix(): HashedFile(
            sha256=sha256_of(path), size=path.stat().st_size
        )
        for path in data_files(folder)
    }


def data_files(folder: Path) -> list[Path]:
    """List the files of a data set, those in folders within it too."""
    items = data_items(folder)
    inside = (
        path for item in items for path in (sorted(item.rglob("*")) if item.is_dir() else [item])
    )
    return [path for path in inside if path.is_file()]


def data_items(folder: Path) -> list[Path]:
    """List the files and folders that lie directly in a data set's folder."""
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if not path.name.startswith(".") and path.suffix != ".dvc"
    )


def differences(was: dict[str, HashedFile], now: dict[str, HashedFile]) -> list[str]:
    """Say which files are changed, missing or new."""
    said = [f"missing: {name}" for name in was if name not in now]
    said += [f"changed: {name}" for name in was if name in now and was[name] != now[name]]
    return said + [f"new: {name}" for name in now if name not in was]


def note_hashed(root: Path, name: str, folder: Path) -> None:
    """Remember that the files that lie there now were hashed and found to be those recorded."""
    seen = _seen(root)
    seen[name] = _stamp(folder)
    _write_json(root / _SEEN, seen)


def is_as_hashed(root: Path, name: str, folder: Path) -> bool:
    """Whether no file was touched since `note_hashed`."""
    return name in read_manifest(root).data and _seen(root).get(name) == _stamp(folder)


@contextmanager
def sole_keeper(root: Path) -> Iterator[None]:
    """Let one process at a time change the named data of a project."""
    lock = root / "data" / ".scm.data.lock"
    make_folder(lock.parent)
    with sole_writer(lock, to="the named data of this project", mend="wait for it"):
        yield


def _stamp(folder: Path) -> list[list[Any]]:
    facts = [fact for item in data_items(folder) for fact in file_facts(item)]
    return [[Path(path).relative_to(folder).as_posix(), *rest] for path, *rest in facts]


def _seen(root: Path) -> dict[str, Any]:
    try:
        seen = json.loads((root / _SEEN).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # it only saves time
        return {}
    return seen if isinstance(seen, dict) else {}


def _write_json(path: Path, table: dict[str, Any]) -> None:
    with atomic_file(path) as draft:
        draft.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def _damaged(path: Path, found: str) -> UserError:
    return UserError(
        "manifest-damaged",
        found=f"{path}: {found}",
        expected=f"the manifest of named data, format {_FORMAT}",
        mend="take it from git again: git checkout data/manifest.json",
    )
