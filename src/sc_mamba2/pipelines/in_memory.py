"""Runs a named pipeline in memory: the same nodes as `scm run`, nothing written, nothing logged.

Kedro's own runners bring its project with them, which sets up the logging of the whole process anew;
a library must not. Its nodes run by themselves.
"""

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from kedro.io.core import generate_timestamp
from kedro.pipeline import Pipeline
from kedro.validation.type_extractor import TypeExtractor
from torch import nn

import sc_mamba2
from sc_mamba2.cells import RawCellsContract
from sc_mamba2.pipelines.registry import named_pipelines
from sc_mamba2.runs.defaults import read_parameters, typed
from sc_mamba2.training.machine import chance_as_found

_RAW = "raw_cells"


def run_in_memory(
    name: str,
    wanted: tuple[str, ...],
    given: Mapping[str, Any],
    changes: Mapping[str, Any],
    caller: str,
) -> dict[str, Any]:
    """Run the part of a pipeline that leads to what is wanted.

    Parameters
    ----------
    name
        As `scm run --pipeline` takes it.
    wanted
        Datasets to return.
    given
        Datasets that are there; nodes that would make them do not run. No node changes them, but for
        models, of which copies are trained.
    changes
        Parameters by dotted name.
    caller
        Goes into the facts of the run as its command.

    Returns
    -------
    dict
        The wanted datasets by name.

    Raises
    ------
    UserError
        Everything that `scm run` refuses.
    """
    part = _pipelines()[name].to_outputs(*wanted)
    part = Pipeline([node for node in part.nodes if not set(node.outputs) <= given.keys()])
    for role, cells in given.items():
        if role.endswith(f".{_RAW}"):
            RawCellsContract().validate(cells)
    parameters = read_parameters(changes)
    values: dict[str, Any] = {
        f"params:{group}": typed(parameters, group, model)
        for group, model in TypeExtractor({name: part}).extract_types_from_pipelines().items()
        if f"params:{group}" not in given
    }
    values |= {"run_info": _facts(caller, parameters.compute.seed), **given}
    with chance_as_found(), _quiet_nodes():
        for node in part.nodes:
            values |= node.run({key: _own(values[key]) for key in node.inputs})
    return {key: values[key] for key in wanted}


@contextmanager
def _quiet_nodes() -> Iterator[None]:
    """Keep Kedro from logging every node, and from telling an error that is raised all the same."""
    logger = logging.getLogger("kedro.pipeline.node")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


@cache
def _pipelines() -> dict[str, Pipeline]:
    with warnings.catch_warnings():
        # Datasets of another namespace (reference.valid_cells) are meant; Kedro takes them for a slip.
        warnings.filterwarnings("ignore", message="One or more dataset names contain")
        return named_pipelines()


def _own(value: Any) -> Any:
    return copy.deepcopy(value) if isinstance(value, nn.Module) else value


def _facts(caller: str, seed: int) -> dict[str, Any]:
    return {
        "version": sc_mamba2.__version__,
        "command": caller,
        "seed": seed,
        "run_id": generate_timestamp(),
    }
