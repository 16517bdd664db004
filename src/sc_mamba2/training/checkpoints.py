"""The checkpoints of one run: write, find the newest intact and the best one, prune the others.

`<run>/checkpoints/step-000001200/` is an ordinary checkpoint folder that can also be resumed from: it
also has `training_state/state.json` (step, metric, entries of the loop) and
`training_state/*.safetensors` (optimizer, averaged weights, …), listed in its manifest. `best.json` names
the best. Every step has its own folder, so nothing is ever overwritten. No pickle.
"""

import logging
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from torch import Tensor

from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_file, clean_scratch, make_folder, remove_folder, sole_writer
from sc_mamba2.genes import Vocabulary
from sc_mamba2.model import Checkpoint, PretrainedModel, read_checkpoint, write_checkpoint
from sc_mamba2.model.manifest import broken_checkpoint, read_json, read_manifest, some, write_json
from sc_mamba2.model.saving import read_tensors, write_tensors
from sc_mamba2.training.journal import folder_missing, write_errors

_FOLDER, _STATE, _TENSORS = "training_state", "state.json", ".safetensors"


class ModelContent(NamedTuple):
    """The model's part of a checkpoint, named as in `write_checkpoint`."""

    state: Mapping[str, Tensor]
    config: Mapping[str, Any]
    vocabulary: Vocabulary
    model_card: str

    @classmethod
    def of(cls, model: PretrainedModel, state: Mapping[str, Tensor] | None = None) -> Self:
        """Take it from a model, with other tensors if given (gathered shards)."""
        return cls(
            state=model.state_dict() if state is None else state,
            config=model.description(),
            vocabulary=model.tokenizer.vocabulary,
            model_card=model.model_card(),
        )


@dataclass(frozen=True)
class TrainingState:
    """State to resume a training from.

    Parameters
    ----------
    path
        Its folder; `PretrainedModel.from_pretrained` reads it too.
    step
        Optimizer steps taken.
    checkpoint
        The model's tensors, config and vocabulary.
    tensors, state
        Further tensors by kind and name, on the CPU, and the loop's state, as given to `save`.
    metric
        Of the evaluation at this step, if any.
    """

    path: Path
    step: int
    checkpoint: Checkpoint
    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]
    metric: float | None


def write_training_state(
    folder: Path,
    step: int,
    model: ModelContent,
    tensors: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    metric: float | None,
) -> None:
    """Write a checkpoint to resume from, atomically, to a new folder."""

    def add_files(draft: Path) -> None:
        (draft / _FOLDER).mkdir()
        for kind, named in tensors.items():
            write_tensors(draft / _FOLDER / f"{kind}{_TENSORS}", named)
        table = {"step": step, "metric": metric, "state": dict(state)}
        write_json(draft / _FOLDER / _STATE, table)

    write_checkpoint(folder, **model._asdict(), add_files=add_files)


def read_training_state(folder: Path) -> TrainingState:
    """Read what `write_training_state` wrote, verifying every file's sha256.

    Raises
    ------
    UserError
        Rules of `read_checkpoint`; `checkpoint-file` if it has no training state.
    """
    checkpoint = read_checkpoint(folder)
    listed = {Path(name) for name in read_manifest(folder) if name.startswith(f"{_FOLDER}/")}
    if Path(_FOLDER, _STATE) not in listed:
        found = f"no {_FOLDER}/{_STATE} in {folder}"
        raise broken_checkpoint("checkpoint-file", found, "a checkpoint with training state")
    table = read_json(folder / _FOLDER / _STATE)
    if table.keys() != {"step", "metric", "state"}:
        found = f"{_FOLDER}/{_STATE} in {folder} with {some(table)}"
        raise broken_checkpoint("checkpoint-json", found, "step, metric and state")
    kinds = sorted(path for path in listed if path.suffix == _TENSORS)
    return TrainingState(
        path=folder,
        checkpoint=checkpoint,
        tensors={path.stem: read_tensors(folder / path) for path in kinds},
        **table,
    )


def read_metric(folder: Path) -> float | None:
    """Return only the metric, unverified; ``None`` if there is none."""
    try:
        metric = read_json(folder / _FOLDER / _STATE).get("metric")
    except (OSError, ValueError):
        return None
    return metric if isinstance(metric, float | int) else None


_STEP = re.compile(r"step-(\d{9,})")
_BEST = "best.json"
_log = logging.getLogger(__name__)


class TrainingCheckpoints:
    """The checkpoints of a run. Only the writing process enters the context; any may read.

    >>> with TrainingCheckpoints(run) as checkpoints:
    ...     resumed = checkpoints.newest()
    ...     checkpoints.save(step, model=ModelContent.of(model), tensors={}, state={})

    Entering creates the run's folder. The newest `keep_last`, at least 1, are kept, and the best one: with
    the lowest metric, or the highest if `higher_is_better`.
    """

    def __init__(
        self, run: str | Path, keep_last: int = 3, *, higher_is_better: bool = False
    ) -> None:
        assert keep_last >= 1
        self.run, self.folder = Path(run), Path(run) / "checkpoints"
        self.keep_last, self.higher_is_better = keep_last, higher_is_better
        self._held: ExitStack | None = None

    def __enter__(self) -> Self:
        """Become the run's only writer, and remove incomplete files of killed writers."""
        with ExitStack() as stack:
            with write_errors(self.folder):
                make_folder(self.folder)
                lock = self.run / ".run.lock"
                again = "wait for it, or choose another run folder"
                stack.enter_context(sole_writer(lock, to=f"'{self.run}'", mend=again))
            clean_scratch(self.folder / "step-*")
            clean_scratch(self.folder / _BEST)
            self._held = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
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
        """Write the checkpoint of a step, update `best.json`, and prune old checkpoints.

        Write the journal entries of this step first: a resumed run continues after them.

        Parameters
        ----------
        step
            Optimizer steps taken; above that of every intact checkpoint of the run.
        model
            Content of the model.
        tensors
            Further tensors by kind and name; a kind becomes a file name.
        state
            The loop's state, JSON-serialisable.
        metric
            Of the evaluation at this step; non-finite values count as none.

        Returns
        -------
        Path
            The new folder, complete and flushed to disk.

        Raises
        ------
        UserError
            Rules `disk-full`, `write-denied`, `run-folder-missing`, which leave older checkpoints
            unchanged; `checkpoint-exists` if there is an intact one of this or a later step.
        """
        assert self._held is not None, "only the run's writer saves: use it in a `with`"
        path = self.folder / f"step-{step:09d}"
        if metric is not None and not math.isfinite(metric):
            metric = None
        with write_errors(self.folder):
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
        """Return the newest intact checkpoint; damaged ones are skipped with a warning."""
        return next(self._intact(reversed(self._folders())), None)

    def best(self) -> Path | None:
        """Return the intact checkpoint with the best metric, the earliest in a tie."""
        return next((found.path for found in self._intact(self._ranked())), None)

    def _folders(self) -> list[Path]:
        """List the folders of the steps, intact or not, the newest last."""
        if not self.folder.is_dir():
            return []
        found = (path for path in self.folder.iterdir() if _STEP.fullmatch(path.name))
        return sorted(found, key=_step_of)

    def _ranked(self) -> list[Path]:
        sign = -1 if self.higher_is_better else 1
        metrics = [(path, read_metric(path)) for path in self._folders()]
        ranked = sorted((sign * metric, path) for path, metric in metrics if metric is not None)
        return [path for _, path in ranked]

    def _intact(self, folders: Iterator[Path] | list[Path]) -> Iterator[TrainingState]:
        for path in folders:
            try:
                yield read_training_state(path)
            except (UserError, OSError) as error:
                _log.warning("Skipping damaged checkpoint: %s (%s)", path, error)

    def _clear_from(self, step: int) -> None:
        """Remove damaged checkpoints from this step on; raise if one is intact."""
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
                found=f"a complete checkpoint at '{path}', followed by one of step {step}",
                expected="increasing steps",
                mend="resume the run from its newest checkpoint, or choose another run folder",
            )

    def _mark_best(self) -> None:
        for path in self._ranked()[:1]:
            named = {"checkpoint": path.name, "step": _step_of(path), "metric": read_metric(path)}
            with atomic_file(self.folder / _BEST) as draft:
                write_json(draft, named)

    def _prune(self) -> None:
        """Remove all but the last ones and the best, oldest first."""
        best = self._ranked()[:1]
        for path in self._folders()[: -self.keep_last]:
            if path not in best:
                remove_folder(path)


def _step_of(folder: Path) -> int:
    found = _STEP.fullmatch(folder.name)
    assert found is not None
    return int(found[1])
