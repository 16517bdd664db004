"""The journal of a run: measurements by step, one JSON table per line, append-only.

After a resume it equals that of an uninterrupted run, except for clock measurements. Also errors of the
run's folder during training.
"""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pandas as pd

from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_file, clean_scratch, refused_write


@contextmanager
def write_errors(folder: Path) -> Iterator[None]:
    """Convert system errors on writing in `folder` to a `UserError`.

    Its rules are `disk-full`, `write-denied`, `run-folder-missing`.
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
    """Return the error for a run folder that has disappeared."""
    return UserError(
        "run-folder-missing",
        found=f"the folder '{folder}' no longer exists",
        expected="the run's folder, where it was when the training started",
        mend="do not move or remove a run while it trains; start it again in another folder",
    )


Row = dict[str, Any]


class Journal:
    """Writer of a run's journal, for the run's only writing process.

    Parameters
    ----------
    path
        The file, such as ``RUN/journal.jsonl``.
    step
        Step to resume from: entries of later steps are dropped. 0 starts anew.
    tensorboard
        Folder of an additional TensorBoard log, if any; rule `tensorboard-missing` without the package.
    """

    def __init__(self, path: str | Path, step: int = 0, tensorboard: Path | None = None) -> None:
        self.path = Path(path)
        self._board = None if tensorboard is None else _board(tensorboard, step)
        clean_scratch(self.path)
        kept = [row for row in _rows(self.path) if row["step"] <= step]
        with write_errors(self.path.parent), atomic_file(self.path) as draft:
            draft.write_text("".join(map(_line, kept)), encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._board is not None:
            self._board.close()

    def write(self, step: int, **measured: float | int | str | None) -> None:
        """Append a line and flush it to disk; non-finite numbers become null.

        Parameters
        ----------
        step
            Optimizer steps taken.
        measured
            By name; pass names with a slash as ``**{"validation/loss": …}``.

        Raises
        ------
        UserError
            Those of `write_errors`.
        """
        row = {"step": step} | {name: _finite(value) for name, value in measured.items()}
        with write_errors(self.path.parent), self.path.open("a", encoding="utf-8") as file:
            file.write(_line(row))
            file.flush()
            os.fsync(file.fileno())
        if self._board is not None:
            for name, value in row.items():
                if name != "step" and isinstance(value, float | int):
                    self._board.add_scalar(name, value, step)


def read_journal(path: str | Path) -> pd.DataFrame:
    """Read a journal, even while it is being written or with an incomplete last line.

    One row per line, in order, `step` first; NaN where a line lacks a name.
    """
    rows = list(_rows(Path(path)))
    return pd.DataFrame(rows) if rows else pd.DataFrame({"step": pd.Series(dtype="int64")})


def _rows(path: Path) -> Iterator[Row]:
    """Yield the rows up to the first incomplete line; later ones cannot be trusted."""
    lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            return
        if not line.endswith(b"\n") or not isinstance(row, dict) or "step" not in row:
            return
        yield row


def _line(row: Row) -> str:
    return json.dumps(row, allow_nan=False) + "\n"


def _finite(value: float | int | str | None) -> float | int | str | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _board(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserError(
            "tensorboard-missing",
            found="TensorBoard is not installed",
            expected="the package tensorboard, since its log was requested",
            mend="install the extra `tensorboard`, or turn off its log",
        ) from error
    return SummaryWriter(str(folder), purge_step=step + 1)
