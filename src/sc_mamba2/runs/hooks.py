"""The Kedro hook that gives every run its facts, as the dataset `run_info`."""

import platform
import shutil
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

import sc_mamba2
from sc_mamba2.files import atomic_file

RUN_INFO = "run_info"
LIBRARIES = ("torch", "kedro", "anndata", "scanpy", "scikit-learn")
ARCHIVED = (".metrics", ".report")


class RunInfoHook:
    """Saves `run_info` before a pipeline that asks for it runs."""

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        """Write down who ran what, when, with which versions."""
        if RUN_INFO in pipeline.inputs():
            catalog.save(RUN_INFO, run_facts(run_params, catalog))

    @hook_impl
    def after_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        """Keep a copy of every task's metrics and report under ``runs/<run id>/`` beside them."""
        for name in pipeline.all_outputs():
            if name.endswith(ARCHIVED):
                _archive(Path(catalog[name]._filepath), run_params["run_id"])


def _archive(path: Path, run_id: str) -> None:
    with atomic_file(path.parent / "runs" / run_id / path.name) as draft:
        shutil.copyfile(path, draft)


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
    names = run_params["pipeline_names"] or ["__default__"]
    return {
        "run_id": run_params["run_id"],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": equivalent_command(run_params, list(names)),
        "version": sc_mamba2.__version__,
        "seed": seed,
        "python": platform.python_version(),
        "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        "threads": torch.get_num_threads(),
        "machine": f"{platform.machine()} {sys.platform}",
    }


def equivalent_command(run_params: dict[str, Any], names: list[str]) -> str:
    """Return the `kedro run` line that repeats a run's selection and parameters."""
    from sc_mamba2.runs.selection import Selection

    # Kedro passes the runner on as an object without its name.
    known = (Selection.model_fields.keys() & run_params.keys()) - {"runner"}
    chosen = {field: run_params[field] for field in known if run_params[field]}
    params = run_params["runtime_params"]
    return Selection(**chosen | {"pipelines": tuple(names), "params": params}).kedro_line()
