"""What can happen to the folder of a run while it trains, as errors for a person."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sc_mamba2.errors import UserError
from sc_mamba2.files import refused_write


@contextmanager
def told_writes(folder: Path) -> Iterator[None]:
    """Raise what the system refuses in `folder` as a `UserError`.

    Raises
    ------
    UserError
        Rules `disk-full`, `write-denied`, `run-folder-missing`.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise folder_missing(folder) from error
    except OSError as error:
        refused = refused_write(error)
        if refused is None:
            raise
        raise refused from error


def folder_missing(folder: Path) -> UserError:
    """Make the error of a folder that somebody took away."""
    return UserError(
        "run-folder-missing",
        found=f"no folder at '{folder}' any more",
        expected="the run's folder, where it was when the training began",
        mend="do not move or remove a run while it trains; start it again in another folder",
    )
