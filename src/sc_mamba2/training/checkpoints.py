"""The checkpoints of one run: the newest whole one, the best one, and which of them stay.

`<run>/checkpoints/step-000001200/` is one of them (`training_state`); `best.json` beside them names
the best. Every step has a folder of its own, so that nothing is ever replaced.
"""

import logging
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch import Tensor

from sc_mamba2.errors import UserError
from sc_mamba2.files import (
    atomic_file,
    clean_scratch,
    make_folder,
    remove_folder,
    sole_writer,
)
from sc_mamba2.model.manifest import write_json
from sc_mamba2.training.run_folder import folder_missing, told_writes
from sc_mamba2.training.training_state import (
    ModelContent,
    TrainingState,
    read_metric,
    read_training_state,
    write_training_state,
)

_STEP = re.compile(r"step-(\d{9,})")
_BEST = "best.json"
_log = logging.getLogger(__name__)


class TrainingCheckpoints:
    """The checkpoints of a run. The one process that writes enters it; any may read.

    >>> with TrainingCheckpoints(run) as checkpoints:
    ...     resumed = checkpoints.newest()
    ...     checkpoints.save(step, model=ModelContent.of(model), tensors={}, state={})

    Parameters
    ----------
    run
        The run's folder; it is made on entering.
    keep_last
        How many of the newest stay, from 1; the best stays beside them.
    higher_is_better
        Whether the best has the highest metric; else the lowest, as for a loss.
    """

    def __init__(
        self, run: str | Path, keep_last: int = 3, *, higher_is_better: bool = False
    ) -> None:
        assert keep_last >= 1
        self.run, self.folder = Path(run), Path(run) / "checkpoints"
        self.keep_last, self.higher_is_better = keep_last, higher_is_better
        self._held: ExitStack | None = None

    def __enter__(self) -> Self:
        """Become the run's only writer, and remove what killed writers left half done.

        Raises
        ------
        UserError
            Rules `run-locked`, `write-denied`, `disk-full`.
        """
        with ExitStack() as stack:
            with told_writes(self.folder):
                make_folder(self.folder)
                lock = self.run / ".run.lock"
                again = "wait for it, or name another run folder"
                stack.enter_context(sole_writer(lock, to=f"'{self.run}'", mend=again))
            clean_scratch(self.folder / "step-*")
            clean_scratch(self.folder / _BEST)
            self._held = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._held is not None
        self._held.close()
        self._held = None

    def save(
        self,
        step: int,
        *,
        model: ModelContent,
        tensors: Mapping[str, Mapping[str, Tensor]],
        state: Mapping[str, Any],
        metric: float | None = None,
    ) -> Path:
        """Write the checkpoint of a step, name the best anew, and drop what need not stay.

        What the journal says of this step is to be written before: a resume goes on after it.

        Parameters
        ----------
        step
            Optimizer steps that were taken; above that of every whole checkpoint of the run.
        model
            What the model is.
        tensors
            Further tensors by kind and name; a kind becomes a file, so it is a plain word.
        state
            What the loop needs to go on, ready for JSON.
        metric
            Of the evaluation at this step; one that is not finite counts as none.

        Returns
        -------
        Path
            The new folder: whole, and on the disk.

        Raises
        ------
        UserError
            Rules `disk-full`, `write-denied`, `run-folder-missing`, after which older checkpoints
            are as they were; `checkpoint-exists`, when the run has gone beyond this step.
        """
        assert self._held is not None, "only the run's writer saves: use it in a `with`"
        path = self.folder / f"step-{step:09d}"
        if metric is not None and not math.isfinite(metric):
            metric = None
        with told_writes(self.folder):
            if not self.folder.is_dir():
                raise folder_missing(self.folder)
            self._clear_from(step)
            write_training_state(path, step, model, tensors, state, metric)
            self._mark_best()
            self._prune()
            if not path.is_dir():
                raise folder_missing(self.folder)
        return path

    def newest(self) -> TrainingState | None:
        """Return the newest whole checkpoint; a damaged one is passed over with one warning."""
        return next(self._whole(reversed(self._folders())), None)

    def best(self) -> Path | None:
        """Return the whole checkpoint with the best metric, the earliest of equals."""
        return next((found.path for found in self._whole(self._ranked())), None)

    def _folders(self) -> list[Path]:
        """List the folders of the steps, whole or not, the newest last."""
        if not self.folder.is_dir():
            return []
        found = (path for path in self.folder.iterdir() if _STEP.fullmatch(path.name))
        return sorted(found, key=_step_of)

    def _ranked(self) -> list[Path]:
        sign = -1 if self.higher_is_better else 1
        metrics = [(path, read_metric(path)) for path in self._folders()]
        ranked = sorted((sign * metric, path) for path, metric in metrics if metric is not None)
        return [path for _, path in ranked]

    def _whole(self, folders: Iterator[Path] | list[Path]) -> Iterator[TrainingState]:
        for path in folders:
            try:
                yield read_training_state(path)
            except (UserError, OSError) as error:
                _log.warning("Damaged checkpoint passed over: %s (%s)", path, error)

    def _clear_from(self, step: int) -> None:
        """Remove damaged checkpoints that the training now comes to again."""
        for path in self._folders():
            if _step_of(path) < step:
                continue
            try:
                read_training_state(path)
            except (UserError, OSError):
                remove_folder(path)
                continue
            raise UserError(
                "checkpoint-exists",
                found=f"a whole checkpoint at '{path}', to be followed by one of step {step}",
                expected="steps that rise",
                mend="resume the run from its newest checkpoint, or name another run folder",
            )

    def _mark_best(self) -> None:
        ranked = self._ranked()
        if not ranked:
            return
        path = ranked[0]
        named = {"checkpoint": path.name, "step": _step_of(path), "metric": read_metric(path)}
        with atomic_file(self.folder / _BEST) as draft:
            write_json(draft, named)

    def _prune(self) -> None:
        """Remove all but the last ones and the best; the oldest goes first."""
        best = self._ranked()[:1]
        for path in self._folders()[: -self.keep_last]:
            if path not in best:
                remove_folder(path)


def _step_of(folder: Path) -> int:
    found = _STEP.fullmatch(folder.name)
    assert found is not None
    return int(found[1])
