"""Named data sets of a project: their state, adding one's own, checking hashes. `arrival` brings them.

A data set is a folder ``data/01_raw/NAME/``; `manifest` has its hashes, DVC its versions.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sc_mamba2.errors import UserError, nearest
from sc_mamba2.files import atomic_file, atomic_folder
from sc_mamba2.versions import dvc
from sc_mamba2.versions.manifest import (
    Entry,
    data_files,
    data_items,
    differences,
    hash_files,
    is_as_hashed,
    note_hashed,
    read_manifest,
    record,
    sole_keeper,
)
from sc_mamba2.versions.names import RAW, check_name
from sc_mamba2.versions.registry import PublicData, registry


@dataclass(frozen=True)
class Arrived:
    """A data set that is here: its folder, its shape, its pointers, and what is to be said of it."""

    folder: Path
    shape: dict[str, int]
    pointers: list[Path]
    remarks: list[str]


def list_data(root: Path) -> list[dict[str, Any]]:
    """Return every data set that has a name here: the registry's, then the project's own.

    The state is ``absent``, ``here`` (with files, not hashed since they changed) or ``verified``.
    """
    public = registry().data
    own = [name for name in read_manifest(root).data if name not in public]
    return [_described(root, name, public.get(name)) for name in (*public, *own)]


def add(root: Path, source: Path, name: str) -> Arrived:
    """Copy a file or folder into the project under a name, with its hash and a pointer of DVC.

    Parameters
    ----------
    root
        The project.
    source
        What to copy; it is left as it is.
    name
        A new name.

    Raises
    ------
    UserError
        The name is taken or no name, there is no such file, or DVC cannot be used: nothing is left.
    """
    check_name(name)
    if (reason := dvc.why_not(root)) is not None:
        raise reason
    folder = root / RAW / name
    _check_free(root, name)
    if not source.exists():
        raise UserError(
            "file-missing",
            found=f"no file at '{source}'",
            expected="a file or folder of cells",
            mend="check the path",
        )
    if source in folder.parents:
        raise UserError(
            "output-is-input",
            found=f"'{source}' holds '{RAW / name}', where it would be copied",
            expected="a file or folder of cells alone",
            mend="name the files themselves",
        )
    with sole_keeper(root):
        _check_free(root, name)  # another may have taken it since
        target = folder / source.name
        try:
            _copy(source, target)
            shape, remarks = _shape(target)
            pointers = dvc.track(root, [target])
            record(root, name, Entry(files=hash_files(folder), source=source.name, shape=shape))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        note_hashed(root, name, folder)
    return Arrived(folder, shape, pointers, remarks)


def _check_free(root: Path, name: str) -> None:
    if name in registry().data or name in read_manifest(root).data or data_items(root / RAW / name):
        raise UserError(
            "data-exists",
            found=f"the name '{name}' is taken",
            expected="a new name",
            mend="choose another --name; versions of your own can be pbmc_v1, pbmc_v2",
        )


def verify(root: Path, name: str) -> list[str]:
    """Hash a data set anew and say what is changed, missing or new.

    Raises
    ------
    UserError
        Rule `data-unrecorded`: the manifest does not have it.
    """
    entry = read_manifest(root).data.get(name)
    if entry is None:
        known(root, name)
        raise UserError(
            "data-unrecorded",
            found=f"no hash of '{name}' in data/manifest.json",
            expected="a data set that was pulled or added",
            mend=f"scm data pull {name}",
        )
    folder = root / RAW / name
    found = differences(entry.files, hash_files(folder))
    if not found:
        note_hashed(root, name, folder)
    return found


def known(root: Path, name: str) -> PublicData | None:
    """Return the registry's row, or ``None`` for a data set of the project's own.

    Raises
    ------
    UserError
        Rule `data-unknown`.
    """
    public, own = registry().data, read_manifest(root).data
    if name not in public and name not in own:
        names = [*public, *own]
        raise UserError(
            "data-unknown",
            found=f"no data set '{name}'",
            expected="a name of `scm data list`",
            mend="correct the name, or scm data add FILE --name NAME" + nearest(name, names),
        )
    return public.get(name)


def _described(root: Path, name: str, public: PublicData | None) -> dict[str, Any]:
    folder = root / RAW / name
    entry = read_manifest(root).data.get(name)
    state = "absent"
    if data_files(folder):
        state = "verified" if is_as_hashed(root, name, folder) else "here"
    said = public.model_dump(mode="json") if public else {"title": "your own", "comes": "own"}
    found = entry.model_dump(mode="json") if entry else None
    return {"name": name, "state": state, **said, "folder": str(RAW / name), "recorded": found}


def _shape(path: Path) -> tuple[dict[str, int], list[str]]:
    """Count what is in a file of cells; of another file say that it is none."""
    from sc_mamba2.versions.shape import shape_of  # anndata takes a second

    try:
        return shape_of(path), []
    except UserError as error:
        return {}, [f"kept, and not read as cells ({error.rule})"]


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        with atomic_folder(target) as draft:
            shutil.copytree(source, draft, dirs_exist_ok=True)
        return
    with atomic_file(target) as draft:
        shutil.copyfile(source, draft)
