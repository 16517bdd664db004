"""Named data sets of a project: list, pull, add and verify.

A data set is a folder ``data/01_raw/NAME/``; `names` keeps its hashes, DVC its versions.
"""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

from sc_mamba2.errors import UserError, nearest
from sc_mamba2.files import atomic_file, atomic_folder, make_folder, scratch_folder
from sc_mamba2.versions import dvc, names
from sc_mamba2.versions.names import RAW, Entry, data_items, file_stamps, read_manifest
from sc_mamba2.versions.registry import PublicData, registry


class LocalData(NamedTuple):
    """A local data set: its folder, shape, DVC pointers, and remarks."""

    folder: Path
    shape: dict[str, int]
    pointers: list[Path]
    remarks: list[str]


def list_data(root: Path) -> list[dict[str, Any]]:
    """List all named data sets: those of the registry, then the project's own.

    The state is ``absent``, ``here`` (files exist, but changed since they were hashed) or ``verified``.
    """
    public, recorded = registry().data, read_manifest(root)
    rows = []
    for name in dict.fromkeys([*public, *recorded]):
        own = {"title": "your own", "comes": "own"}
        facts = public[name].model_dump(mode="json") if name in public else own
        entry, state = recorded.get(name), "absent"
        if file_stamps(root / RAW / name):
            state = "verified" if entry and names.is_as_hashed(root, name) else "here"
        facts |= {"folder": str(RAW / name), "recorded": entry and entry.model_dump()}
        rows.append({"name": name, "state": state, **facts})
    return rows


def known(root: Path, name: str) -> PublicData | None:
    """Return the registry's entry, ``None`` for the user's own data; else raise rule `data-unknown`."""
    public, own = registry().data, read_manifest(root)
    if name not in {*public, *own}:
        near = nearest(name, [*public, *own])
        raise UserError(
            "data-unknown",
            found=f"no data set '{name}'",
            expected="a name from `scm data list`",
            mend=f"correct the name, or scm data add FILE --name NAME{near}",
        )
    return public.get(name)


def pull(root: Path, name: str, *, again: bool = False, progress: bool = False) -> LocalData:
    """Fetch a data set into the project, or register one that was put there by hand.

    Recorded data are fetched from DVC's remote first, the user's own only from there. `again` fetches
    data that exist already, which must be the same bytes; `progress` shows a bar on standard error.
    No partial file is left if the network fails, the content differs from the record (`data-changed`,
    `download-sha256`), or it has to be fetched by hand (`data-by-hand`).
    """
    public = known(root, name)
    folder = root / RAW / name
    with names.sole_keeper(root):
        recorded = read_manifest(root).get(name)
        if file_stamps(folder) and not again:
            if recorded is None:
                return _register(root, name, "put here by hand", public)
            return _as_recorded(root, name, "it was already here")
        if recorded is not None:
            try:
                dvc.fetch(root, sorted(folder.glob("*.dvc")), None, *["--force"] * again)
            except UserError:  # public data can still be downloaded
                if public is None:
                    raise
            else:
                return _as_recorded(root, name, "from DVC's remote")
        assert public is not None  # own data returned or raised above
        if public.comes not in ("file", "archive"):
            raise _by_hand(name, public)
        make_folder(folder.parent)
        with scratch_folder(folder) as scratch:
            draft = _downloaded(public, recorded, scratch, progress)
            with atomic_file(folder / public.file_name) as place:
                draft.replace(place)
        return _register(root, name, public.address, public)


def write_pointer(root: Path, name: str) -> Path:
    """Write DVC's import pointer for a data set, without downloading it.

    Rule `data-no-pointer`: it is not a single file at a URL, or it is already here.
    """
    public = known(root, name)
    folder = root / RAW / name
    if public is None or public.comes != "file" or data_items(folder):
        raise UserError(
            "data-no-pointer",
            found=f"'{name}' is already here, or is not a single file at a URL",
            expected="a data set that is a single file and is not here yet",
            mend=f"scm data pull {name}",
        )
    path = folder / public.file_name
    with names.sole_keeper(root):
        make_folder(folder)
        dvc.run(root, "import-url", "--quiet", "--no-exec", public.address, path)
    return dvc.pointer_of(path)


def add(root: Path, source: Path, name: str) -> LocalData:
    """Copy a file or folder into the project under a new name, with its hash and a DVC pointer.

    If the name is invalid or taken, the file is missing, or DVC cannot be used, nothing is left.
    """
    names.check_name(name)
    dvc.check_usable(root)
    folder = root / RAW / name
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
            found=f"'{source}' contains '{RAW / name}', the place of the copy",
            expected="a file or folder with only cells",
            mend="give the files themselves",
        )
    with names.sole_keeper(root):
        if name in registry().data or name in read_manifest(root) or data_items(folder):
            raise UserError(
                "data-exists",
                found=f"the name '{name}' is taken",
                expected="a new name",
                mend="choose another --name; versions of your own can be pbmc_v1, pbmc_v2",
            )
        try:
            copy_whole(source, folder / source.name)
            return _register(root, name, source.name, None)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file or folder atomically."""
    if source.is_dir():
        with atomic_folder(target) as draft:
            shutil.copytree(source, draft, dirs_exist_ok=True)
    else:
        with atomic_file(target) as draft:
            shutil.copyfile(source, draft)


def verify(root: Path, name: str) -> list[str]:
    """Rehash a data set and return what is changed, missing or new; rule `data-unrecorded`."""
    known(root, name)
    recorded = read_manifest(root).get(name)
    if recorded is None:
        raise UserError(
            "data-unrecorded",
            found=f"no hash of '{name}' in data/manifest.json",
            expected="a data set that was pulled or added",
            mend=f"scm data pull {name}",
        )
    changed = names.differences(recorded, root / RAW / name)
    if not changed:
        names.note_hashed(root, name)
    return changed


def _downloaded(public: PublicData, recorded: Entry | None, scratch: Path, progress: bool) -> Path:
    """Download into a scratch folder and return the file of cells; all other files there are hidden."""
    from sc_mamba2.versions.download import download, failure, unpack

    draft, archive = scratch / public.file_name, scratch / ".archive.zip"
    download(public.address, archive if public.member else draft, progress=progress)
    if public.member:
        unpack(archive, public.member, draft, public.address)
    if changed := names.differences(recorded, scratch) if recorded else []:
        differences = "; ".join(changed)
        raise UserError(
            "download-sha256",
            found=f"the download from {public.address} differs from data/manifest.json ({differences})",
            expected="the recorded sha256",
            mend="get the recorded files from DVC's remote (dvc pull), or check at the source what changed",
        )
    try:
        _count(draft)
    except UserError as error:
        found = f"{public.address} did not send a file of cells ({error.rule})"
        raise failure("download-foreign", found) from error
    return draft


def _count(path: Path) -> dict[str, int]:
    """Count cells, genes, and proteins if a table of obsm is named so."""
    import anndata as ad  # slow, and not needed by `list` and `verify`
    import h5py

    from sc_mamba2.cells.opening import open_cells
    from sc_mamba2.cells.readers import detect_format

    with open_cells(path) as cells:
        shape = {"cells": len(cells.obs), "genes": len(cells.var)}
    if detect_format(path) == "h5ad":
        with h5py.File(path, "r") as file:
            for table in [one for one in file.get("obsm", ()) if one.startswith("protein")][:1]:
                shape["proteins"] = int(ad.io.read_elem(file["obsm"][table]).shape[1])
    return shape


def _as_recorded(root: Path, name: str, how: str) -> LocalData:
    folder = root / RAW / name
    if changed := verify(root, name):
        raise UserError(
            "data-changed",
            found=f"'{name}': {'; '.join(changed)}",
            expected="the files recorded in data/manifest.json",
            mend=f"scm data pull {name} --force downloads them again; add your own changes under a new name",
        )
    pointers = [dvc.pointer_of(item) for item in data_items(folder)]
    shape = read_manifest(root)[name].shape
    return LocalData(folder, shape, [one for one in pointers if one.exists()], [how])


def _register(root: Path, name: str, source: str, public: PublicData | None) -> LocalData:
    """Put the files of a data set under DVC and record them.

    Public data must be cells, and DVC is optional; the user's own can be anything, and need DVC.
    """
    arrived = LocalData(root / RAW / name, {}, [], [])
    items, facts = data_items(arrived.folder), None
    try:
        arrived.shape.update(_count(items[0]) if len(items) == 1 else {})
    except UserError as error:
        if public:
            raise
        arrived.remarks.append(f"kept, but not readable as cells ({error.rule})")
    if public:
        facts = {"source": source, "page": public.address}
        facts |= {"licence": public.licence, "citation": public.citation}
        stated = public.expected.model_dump(exclude={"stated"}, exclude_none=True)
        arrived.remarks.extend(
            f"{arrived.shape.get(what, 0):,} {what}, but {number:,} are stated"
            for what, number in stated.items()
            if arrived.shape and arrived.shape.get(what) != number
        )
    try:
        arrived.pointers.extend(dvc.track(root, items, facts))
    except UserError as error:
        if not public:
            raise
        arrived.remarks.append(f"not under DVC: {error.found}; {error.mend}")
    names.record(root, name, source, arrived.shape)
    return arrived


def _by_hand(name: str, public: PublicData) -> UserError:
    place = RAW / name
    how = f"open it in a browser, put the files into {place}/, then: scm data pull {name}"
    if public.loader:
        code = public.loader.format(folder=place)
        how = f"{public.needs}; mkdir -p {place}; python -c '{code}'; scm data pull {name}"
    elif public.comes == "loader":
        how = f"{public.needs}; {public.note}"
    return UserError(
        "data-by-hand",
        found=f"'{name}' is at {public.address}, which a program cannot download",
        expected=f"its files in {place}/",
        mend=how,
    )
