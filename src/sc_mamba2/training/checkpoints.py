"""The checkpoints of one run: the newest whole one, the best one, and which of them stay.

`<run>/checkpoints/step-000001200/` is an ordinary checkpoint folder that can also be resumed from:
`training_state/state.json` (step, metric, what the loop adds) and `training_state/*.safetensors`
(optimizer, averaged weights, …) lie in it, under the manifest of the whole. `best.json` names the
best. Every step has a folder of its own, so that nothing is ever replaced. No pickle.
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
from sc_mamba2.training.journal import folder_missing, told_writes

_FOLDER, _STATE, _TENSORS = "training_state", "state.json", ".safetensors"


class ModelContent(NamedTuple):
    """What a checkpoint keeps of the model, in the words of `write_checkpoint`."""

    state: Mapping[str, Tensor]
    config: Mapping[str, Any]
    vocabulary: Vocabulary
    model_card: str

    @classmethod
    def of(cls, model: PretrainedModel, state: Mapping[str, Tensor] | None = None) -> Self:
        """Take it from a model, with other tensors where these are given (shards gathered)."""
        return cls(
            state=model.state_dict() if state is None else state,
            config=model.description(),
            vocabulary=model.tokenizer.vocabulary,
            model_card=model.model_card(),
        )


@dataclass(frozen=True)
class TrainingState:
    """What a training goes on from.

    Parameters
    ----------
    path
        The folder that it was read from; `PretrainedModel.from_pretrained` reads it too.
    step
        Optimizer steps that were taken.
    checkpoint
        The model's tensors, config and vocabulary.
    tensors, state
        Further tensors by kind and name, on the CPU, and what the loop keeps, as given to `save`.
    metric
        Of the evaluation at this step, if there was one.
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
    """Write a checkpoint with training state, whole or not at all, to a free place."""

    def add_files(draft: Path) -> None:
        (draft / _FOLDER).mkdir()
        for kind, named in tensors.items():
            write_tensors(draft / _FOLDER / f"{kind}{_TENSORS}", named)
        table = {"step": step, "metric": metric, "state": dict(state)}
        write_json(draft / _FOLDER / _STATE, table)

    write_checkpoint(folder, **model._asdict(), add_files=add_files)


def read_training_state(folder: Path) -> TrainingState:
    """Read what `write_training_state` wrote; every file is compared with its sha256.

    Raises
    ------
    UserError
        Rules of `read_checkpoint`; `checkpoint-file`, where it cannot be resumed from.
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
    """Return the metric alone, unverified; ``None`` where there is none to be read."""
    try:
        metric = read_json(folder / _FOLDER / _STATE).get("metric")
    except (OSError, ValueError):
        return None
    return metric if isinstance(metric, float | int) else None


_STEP = re.compile(r"step-(\d{9,})")
_BEST = "best.json"
_log = logging.getLogger(__name__)


class TrainingCheckpoints:
    """The checkpoints of a run. The one process that writes enters it; any may read.

    >>> with TrainingCheckpoints(run) as checkpoints:
    ...     resumed = checkpoints.newest()
    ...     checkpoints.save(step, model=ModelContent.of(model), tensors={}, state={})

    The run's folder is made on entering. Of the newest `keep_last` stay, from 1, and beside them the
    best: that with the lowest metric, as for a loss, or the highest.
    """

    def __init__(
        self, run: str | Path, keep_last: int = 3, *, higher_is_better: bool = False
    ) -> None:
        assert keep_last >= 1
        self.run, self.folder = Path(run), Path(run) / "checkpoints"
        self.keep_last, self.higher_is_better = keep_last, higher_is_better
        self._held: ExitStack | None = None

    def __enter__(self) -> Self:
        """Become the run's only writer, and remove what killed writers left half done."""
        with ExitStack() as stack:
            with told_writes(self.folder):
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
                _log.warning("Skipping damaged checkpoint: %s (%s)", path, error)

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
        """Remove all but the last ones and the best; the oldest goes first."""
        best = self._ranked()[:1]
        for path in self._folders()[: -self.keep_last]:
            if path not in best:
                remove_folder(path)


def _step_of(folder: Path) -> int:
    found = _STEP.fullmatch(folder.name)
    assert found is not None
    return int(found[1])
