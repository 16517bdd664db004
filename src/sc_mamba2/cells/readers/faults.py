"""What every reader says of a source that it refuses: the formats, and the faults they share."""

from pathlib import Path

from sc_mamba2.errors import UserError

FORMATS = "cells as .h5ad, .zarr, .h5mu, .loom, Cell Ranger .h5 or a folder with matrix.mtx"
AGAIN = "write the file again from the original; this one is damaged"


def damaged(path: Path, error: Exception) -> UserError:
    """Tell of a file whose reader failed, in the first line of what the reader said."""
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return UserError(
        "file-damaged",
        found=f"'{path.name}' cannot be read ({first_line[:160]})",
        expected=FORMATS,
        mend="copy or download it again; if it opens elsewhere, save it with adata.write_h5ad()",
    )


def points_outside(name: str, path: Path) -> UserError:
    """Refuse a source that would read other files: it could name any path of this machine."""
    return UserError(
        "file-external-link",
        found=f"'{name.strip('/')}' in {path.name} is a link to another file",
        expected="a file that holds its own data",
        mend="load it where it was made and save it again with adata.write_h5ad()",
    )


def other_format(path: Path, found: str) -> UserError:
    """Refuse what can be opened, but holds no cells that are known here."""
    return UserError(
        "file-format",
        found=f"{path.name} {found}",
        expected=FORMATS,
        mend="read it with the tool that made it and save it with adata.write_h5ad()",
    )


def no_matrix(path: Path) -> UserError:
    """Refuse tables without a matrix."""
    return UserError(
        "file-no-matrix",
        found=f"{path.name} has obs and var but no X",
        expected="an AnnData with a matrix of expression",
        mend="write the file again with the counts in X",
    )
