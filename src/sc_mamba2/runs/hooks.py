"""The Kedro hook that gives every run its facts, as the dataset `run_info`."""

import platform
import sys
from datetime import UTC, datetime
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

import sc_mamba2

RUN_INFO = "run_info"


class RunInfoHook:
    """Saves `run_info` before a pipeline that asks for it runs."""

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        """Write down who ran what, when, with which versions."""
        if RUN_INFO in pipeline.inputs():
            catalog.save(RUN_INFO, run_facts(run_params, catalog))


def run_facts(run_params: dict[str, Any], catalog: CatalogProtocol) -> dict[str, Any]:
    """Return the facts of a run, ready for JSON.

    Parameters
    ----------
    run_params
        As Kedro gives them to its hooks.
    catalog
        The run's catalog, for the seed.
    """
    import torch

    compute = catalog.load("params:compute")
    seed = compute["seed"] if isinstance(compute, dict) else compute.seed
    names = run_params.get("pipeline_names") or [run_params.get("pipeline_name") or "__default__"]
    return {
        "run_id": run_params.get("run_id") or run_params["session_id"],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": equivalent_command(run_params, list(names)),
        "version": sc_mamba2.__version__,
        "seed": seed,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "machine": f"{platform.machine()} {sys.platform}",
    }


def equivalent_command(run_params: dict[str, Any], names: list[str]) -> str:
    """Return the `kedro run` line that repeats a run's selection and parameters."""
    from sc_mamba2.runs.selection import Selection

    chosen = {
        field: run_params.get(field) for field in Selection.model_fields if run_params.get(field)
    }
    params = run_params.get("runtime_params") or run_params.get("extra_params") or {}
    return Selection(**chosen | {"pipelines": tuple(names), "params": params}).kedro_line()
