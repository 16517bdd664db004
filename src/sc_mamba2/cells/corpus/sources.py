"""The files of a corpus: a folder, a pattern, a list, or a text file with a list."""

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from sc_mamba2.cells.readers import NAMED, is_cell_folder
from sc_mamba2.errors import UserError, nearest

SUFFIXES = (".h5ad", ".h5", ".h5mu", ".loom")
LIST_SUFFIX = ".txt"


def list_sources(spec: str | Path | Iterable[str | Path]) -> list[str]:
    """List the sources of a corpus.

    Parameters
    ----------
    spec
        A file or folder of cells; a named source; a folder, searched recursively for `.h5ad`,
        `.h5`, `.h5mu`, `.loom` and for zarr and 10x folders; a pattern such as
        ``studies/**/*.h5ad``; a `.txt` file with one of these per line, relative to itself, and
        comments after ``#``; or several of these.

    Returns
    -------
    list of str
        Sorted and unique. This is the order of the corpus.

    Raises
    ------
    UserError
        Rules ``file-missing``, ``corpus-empty``.
    """
    if isinstance(spec, str | Path):
        return sorted(set(_expand(spec)))
    sources = sorted({source for one in spec for source in _expand(one)})
    if not sources:
        raise _nothing("an empty list")
    return sources


def _expand(spec: str | Path) -> list[str]:
    path, text = Path(spec), str(spec)
    if text.startswith(NAMED):
        return [text]
    if path.is_dir():
        found = [text] if _is_source(path) else list(_search(path))
    elif path.is_file():
        found = _read_list(path) if path.suffix == LIST_SUFFIX else [text]
    elif glob.has_magic(text):
        # Path.glob takes no absolute patterns, and returns hidden files, which are drafts.
        found = glob.glob(text, recursive=True)  # noqa: PTH207
    else:
        siblings = [other.name for other in path.parent.glob("*")]
        raise UserError(
            "file-missing",
            found=f"nothing at '{spec}'",
            expected="a file, a folder, a pattern or a list of sources",
            mend="check the path" + nearest(path.name, siblings),
        )
    if not found:
        raise _nothing(f"'{spec}'")
    return found


def _is_source(folder: Path) -> bool:
    """Whether a folder is a source, or is at least named as zarr, so that it is refused later."""
    return folder.suffix == ".zarr" or is_cell_folder(folder)


def _search(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        here = Path(place)
        whole = [name for name in folders if _is_source(here / name)]
        # The content of a zarr folder is not a source of its own; hidden folders are drafts.
        folders[:] = [name for name in folders if name not in whole and not name.startswith(".")]
        names = [name for name in files if name.endswith(SUFFIXES) and not name.startswith(".")]
        yield from (str(here / name) for name in whole + names)


def _read_list(path: Path) -> list[str]:
    lines = (line.split("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    found: list[str] = []
    for number, line in enumerate(lines, start=1):
        try:
            if line:
                found += _expand(line if line.startswith(NAMED) else path.parent / line)
        except UserError as error:
            raise UserError(
                error.rule,
                found=f"line {number} of {path.name}: {error.found}",
                expected=error.expected,
                mend=error.mend,
            ) from error
    return found


def _nothing(where: str) -> UserError:
    return UserError(
        "corpus-empty",
        found=f"no source in {where}",
        expected=f"{', '.join(SUFFIXES)} files, or zarr or 10x folders",
        mend="check the path or the pattern",
    )
