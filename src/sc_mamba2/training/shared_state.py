"""The whole state of a training that several processes share, gathered for one to write.

The names are those of the model, whether it is one copy, copies (DDP) or shards (FSDP2). Gathering
and loading are acts of all processes together.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from sc_mamba2.training.optimizer_state import flatten_optimizer, unflatten_optimizer
from sc_mamba2.training.pretraining import Pretrainer

OPTIMIZER, AVERAGE = "optimizer", "average"
_PREFIX = "model."  # the model within its objective
_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


def shared_state(
    trainer: Pretrainer,
) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Gather a training.

    Returns
    -------
    weights
        By the model's names, on the CPU; empty on all processes but the first.
    tensors
        Further tensors by kind: the optimizer's, and the running mean of the weights.
    table
        What is no tensor of the optimizer, ready for JSON.
    """
    weights: dict[str, Any] = get_model_state_dict(trainer.module, options=_WHOLE)
    found = get_optimizer_state_dict(trainer.module, trainer.optimizer, options=_WHOLE)
    moments, table = flatten_optimizer(found) if found else ({}, {})
    tensors = {OPTIMIZER: moments}
    if trainer.average.state:
        tensors[AVERAGE] = trainer.average.state
    return {name.removeprefix(_PREFIX): part for name, part in weights.items()}, tensors, table


def load_shared(
    trainer: Pretrainer,
    weights: Mapping[str, Tensor],
    tensors: Mapping[str, Mapping[str, Tensor]],
    table: Mapping[str, Any],
) -> None:
    """Put a training back as `shared_state` gathered it, on any number of processes."""
    named: dict[str, Any] = {f"{_PREFIX}{name}": part for name, part in weights.items()}
    set_model_state_dict(trainer.module, named, options=_WHOLE)
    optimizer = unflatten_optimizer(tensors[OPTIMIZER], table)
    set_optimizer_state_dict(trainer.module, trainer.optimizer, optimizer, options=_WHOLE)
    if trainer.average.state:
        trainer.average.load(tensors[AVERAGE])
