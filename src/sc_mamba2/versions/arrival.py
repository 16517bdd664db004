"""Brings a named data set into a project: from DVC's remote, downloaded, or put there by hand."""

from pathlib import Path

from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_file, make_folder, scratch_folder
from sc_mamba2.versions import dvc
from sc_mamba2.versions.data import Arrived, known
from sc_mamba2.versions.download import Told, download, foreign, unpack
from sc_mamba2.versions.manifest import (
    Entry,
    HashedFile,
    data_files,
    data_items,
    differences,
    hash_files,
    note_hashed,
    read_manifest,
    record,
    sole_keeper,
)
from sc_mamba2.versions.names import RAW
from sc_mamba2.versions.registry import PublicData
from sc_mamba2.versions.shape import shape_of, unlike

BY_HAND = "put here by hand"


def pull(root: Path, name: str, told: Told, *, again: bool = False) -> Arrived:
    """Bring a data set into the project, or take one in that was put there by hand.

    Parameters
    ----------
    root
        The project.
    name
        A name of the registry or of the project's own. What was recorded is asked of DVC's remote
        first; own data come from there alone.
    told
        Called with the bytes so far and in all.
    again
        Whether to fetch what is here already; it must be the same bytes as before.

    Raises
    ------
    UserError
        An unknown name, no network, something else than was recorded (`data-changed`,
        `download-sha256`), or a data set that has to be fetched by hand (`data-by-hand`). No part of
        a file is left.
    """
    public = known(root, name)
    folder = root / RAW / name
    with sole_keeper(root):
        recorded = read_manifest(root).data.get(name)
        if data_files(folder) and not again:
            if recorded is None:
                return _taken_in(root, name, public, BY_HAND)
            return _as_recorded(root, name, recorded, "it was here already")
        if recorded is not None and _from_remote(root, folder, again, needed=public is None):
            return _as_recorded(root, name, recorded, "from DVC's remote")
        assert public is not None  # what is in the manifest alone came from the remote
        if not public.can_be_fetched:
            raise _by_hand(name, public)
        make_folder(folder.parent)
        with scratch_folder(folder) as scratch:
            draft = _fetched(public, scratch, told)
            _check_recorded(recorded, hash_files(draft.parent), public.address)
            _check_cells(draft, public)
            with atomic_file(folder / public.file_name) as place:
                draft.replace(place)
        return _taken_in(root, name, public, public.address)


def point(root: Path, name: str) -> Path:
    """Write DVC's import pointer for a data set, and download nothing.

    Raises
    ------
    UserError
        It is no file of its own at an address, it is here, or DVC cannot be used.
    """
    public = known(root, name)
    folder = root / RAW / name
    if public is None or public.comes != "file" or data_items(folder):
        raise UserError(
            "data-no-pointer",
            found=f"'{name}' is here already, or is no single file at an address",
            expected="a data set that comes as a file and is not here",
            mend=f"scm data pull {name}",
        )
    with sole_keeper(root):
        make_folder(folder)
        return dvc.point(root, public.address, folder / public.file_name)


def _from_remote(root: Path, folder: Path, again: bool, needed: bool) -> bool:
    """Bring what the pointers name; where the source has it too, a refusal of DVC is no end."""
    try:
        dvc.fetch(root, sorted(folder.glob("*.dvc")), over_changes=again)
    except UserError:
        if needed:
            raise
        return False
    return True


def _fetched(public: PublicData, scratch: Path, told: Told) -> Path:
    """Download into a folder of its own and return the file."""
    draft = scratch / "whole" / public.file_name
    draft.parent.mkdir()
    if public.member is None:
        download(public.address, draft, told)
        return draft
    archive = scratch / "archive.zip"
    download(public.address, archive, told)
    unpack(archive, public.member, draft, public.address)
    return draft


def _check_recorded(recorded: Entry | None, now: dict[str, HashedFile], address: str) -> None:
    found = differences(recorded.files, now) if recorded else []
    if found:
        raise UserError(
            "download-sha256",
            found=f"{address} gave other bytes than data/manifest.json has ({'; '.join(found)})",
            expected="the bytes that were here when it was recorded",
            mend="bring those from DVC's remote (dvc pull), or see at the source what changed",
        )


def _check_cells(path: Path, public: PublicData) -> None:
    try:
        shape_of(path)
    except UserError as error:
        raise foreign(public.address, f"no file of cells ({error.rule})") from error


def _as_recorded(root: Path, name: str, recorded: Entry, how: str) -> Arrived:
    folder = root / RAW / name
    found = differences(recorded.files, hash_files(folder))
    if found:
        raise UserError(
            "data-changed",
            found=f"of '{name}' {'; '.join(found)}",
            expected="the files that data/manifest.json has",
            mend=f"scm data pull {name} --force fetches them anew; your own changes: under a new name",
        )
    note_hashed(root, name, folder)
    pointers = [dvc.pointer_of(item) for item in data_items(folder)]
    return Arrived(folder, recorded.shape, [one for one in pointers if one.exists()], [how])


def _taken_in(root: Path, name: str, public: PublicData | None, source: str) -> Arrived:
    """Record what lies in the folder, compare its shape, and put it under DVC where it is used."""
    folder = root / RAW / name
    items = data_items(folder)
    shape = shape_of(items[0]) if len(items) == 1 else {}
    remarks = unlike(public.expected, shape) if public and shape else []
    facts = {"source": source}
    if public:
        facts |= {"page": public.address, "licence": public.licence, "citation": public.citation}
    record(root, name, Entry(files=hash_files(folder), source=source, shape=shape))
    pointers: list[Path] = []
    try:
        pointers = dvc.track(root, items, facts)
    except UserError as error:  # the data are here and hashed; DVC is a help beside that
        remarks.append(f"not under DVC: {error.found}; {error.mend}")
    note_hashed(root, name, folder)
    return Arrived(folder, shape, pointers, remarks)


def _by_hand(name: str, public: PublicData) -> UserError:
    place = RAW / name
    if public.loader:
        code = public.loader.format(folder=place)
        how = f"{public.needs}; mkdir -p {place}; python -c '{code}'; scm data pull {name}"
    elif public.comes == "loader":
        how = f"{public.needs}; {public.note}"
    else:
        how = f"open it in a browser, put the files into {place}/, then: scm data pull {name}"
    return UserError(
        "data-by-hand",
        found=f"'{name}' is at {public.address}, where a program cannot fetch it",
        expected=f"its files in {place}/",
        mend=how,
    )
