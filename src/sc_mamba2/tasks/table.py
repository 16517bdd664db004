"""The task table, from which the registry, verbs, tool signatures, `dvc.yaml` and docs tables are made.

To add an option: its parameter in the task's `params.py` and `conf/base/parameters`, and a line in its `task.py`.
"""

from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sc_mamba2.tasks.annotation.task import TASK as ANNOTATE
from sc_mamba2.tasks.batch_correction.task import TASK as INTEGRATE
from sc_mamba2.tasks.denoising.task import TASK as DENOISE
from sc_mamba2.tasks.embedding.task import TASK as EMBED
from sc_mamba2.tasks.gene_network.task import TASK as NETWORK
from sc_mamba2.tasks.multiomics.task import TASK as MULTIOME
from sc_mamba2.tasks.perturbation.reverse.task import TASK as REVERSE
from sc_mamba2.tasks.perturbation.task import TASK as PERTURB
from sc_mamba2.tasks.pretraining.task import TASK as PRETRAIN
from sc_mamba2.tasks.shared.row import Option

if TYPE_CHECKING:
    from pydantic import BaseModel

TASKS = {
    task.verb: task
    for task in (ANNOTATE, EMBED, INTEGRATE, PERTURB, REVERSE, MULTIOME, NETWORK, DENOISE)
}
EVERY_TASK = (*TASKS.values(), PRETRAIN)
# The pipelines of `scm run` and the inputs of each; the last three are the first steps of every task.
READS: dict[str, Mapping[str, tuple[str, ...]]] = {
    name: reads for task in EVERY_TASK for name, reads in task.reads.items()
} | {
    "ingestion": {"input": ()},
    "validation": {"input": ()},
    "tokenization": {"input": ()},
}


def parameter_model(group: str) -> "type[BaseModel]":
    """Return the parameter model of a group, shared or of one task (a package or a single module)."""
    from sc_mamba2.tasks.shared.params import SHARED_GROUPS

    if group in SHARED_GROUPS:
        return SHARED_GROUPS[group]
    room = "perturbation.reverse" if group == "reverse_perturbation" else group
    name = group.title().replace("_", "") + "Params"
    place = f"sc_mamba2.tasks.{room}"
    spec = find_spec(place)
    own = spec is not None and spec.submodule_search_locations is not None
    model: type[BaseModel] = getattr(import_module(f"{place}.params" if own else place), name)
    return model


def changed_parameters(options: Iterable[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that options set, by dotted name; options without a value set nothing.

    Parameters
    ----------
    options
        Options of a task.
    given
        Values by option name.
    """
    found: dict[str, Any] = {}
    for option in options:
        value = given.get(option.name)
        if value is None or value is False or value == []:
            continue
        for name in option.sets.split():
            found[name] = option.on if option.kind is bool else _plain(value)
    return found


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
