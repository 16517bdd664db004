"""One checkpoint of a training: an ordinary checkpoint folder that can also be resumed from.

`training_state/state.json` (step, metric, what the loop adds) and `training_state/*.safetensors`
(optimizer, averaged weights, …) lie in it, under the manifest of the whole. No pickle.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from torch import Tensor

from sc_mamba2.genes import Vocabulary
from sc_mamba2.model import Checkpoint, PretrainedModel, read_checkpoint, write_checkpoint
from sc_mamba2.model.manifest import (
    broken_checkpoint,
    read_json,
    read_manifest,
    some,
    write_json,
)
from sc_mamba2.model.saving import read_tensors, write_tensors

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
    tensors
        Further tensors by kind and name, on the CPU.
    state
        What the loop keeps, as it was given to `save`.
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
    """Write a checkpoint that can be resumed from, whole or not at all, to a free place."""

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
        raise broken_checkpoint("checkpoint-file", found, "a checkpoint that can be resumed from")
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
