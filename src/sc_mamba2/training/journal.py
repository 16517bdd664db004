"""The journal of a run: what was measured at which step, one JSON table a line, only ever appended.

After a resume it equals that of a run that was never broken, but for what a clock measured. Beside
it, what can happen to the folder of a run while it trains.
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
def told_writes(folder: Path) -> Iterator[None]:
    """Raise what the system refuses in `folder` as a `UserError`.

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
    """Make the error of a folder that somebody took away."""
    return UserError(
        "run-folder-missing",
        found=f"the folder '{folder}' no longer exists",
        expected="the run's folder, where it was when the training started",
        mend="do not move or remove a run while it trains; start it again in another folder",
    )


Row = dict[str, Any]


class Journal:
    """Writes the journal of a run; used by the run's only writer.

    Parameters
    ----------
    path
        The file, such as ``RUN/journal.jsonl``.
    step
        Where the training goes on: what was written of later steps is dropped. 0 begins anew.
    tensorboard
        Folder for TensorBoard, beside the file, or none; rule `tensorboard-missing`.
    """

    def __init__(self, path: str | Path, step: int = 0, tensorboard: Path | None = None) -> None:
        self.path = Path(path)
        self._board = None if tensorboard is None else _board(tensorboard, step)
        clean_scratch(self.path)
        kept = [row for row in _rows(self.path) if row["step"] <= step]
        with told_writes(self.path.parent), atomic_file(self.path) as draft:
            draft.write_text("".join(map(_line, kept)), encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._board is not None:
            self._board.close()

    def write(self, step: int, **measured: float | int | str | None) -> None:
        """Append a line, on the disk when this returns; a number that is not finite becomes null.

        Parameters
        ----------
        step
            Optimizer steps that were taken.
        measured
            By name; names with a slash are given as ``**{"validation/loss": …}``.

        Raises
        ------
        UserError
            Those of `told_writes`.
        """
        row = {"step": step} | {name: _finite(value) for name, value in measured.items()}
        with told_writes(self.path.parent), self.path.open("a", encoding="utf-8") as file:
            file.write(_line(row))
            file.flush()
            os.fsync(file.fileno())
        if self._board is not None:
            for name, value in row.items():
                if name != "step" and isinstance(value, float | int):
                    self._board.add_scalar(name, value, step)


def read_journal(path: str | Path) -> pd.DataFrame:
    """Read a journal, also one that is being written or whose last line is torn.

    One row a line in their order, `step` first; NaN where a line lacks a name.
    """
    rows = list(_rows(Path(path)))
    return pd.DataFrame(rows) if rows else pd.DataFrame({"step": pd.Series(dtype="int64")})


def _rows(path: Path) -> Iterator[Row]:
    """Give the whole lines up to the first that is torn: what follows that one cannot be trusted."""
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
