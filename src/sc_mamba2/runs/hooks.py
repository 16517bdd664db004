"""The Kedro hook that keeps a run: its facts as the dataset `run_info`, its record, metrics and report.

What a record holds stands in `records`; how it is made, in `recording`.
"""

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from sc_mamba2.files import atomic_file, make_folder, sole_writer
from sc_mamba2.runs.recording import METRICS, begun, ended, task_of
from sc_mamba2.runs.records import LOCK, RunRecord, record_folder, write_record
from sc_mamba2.runs.translate import as_user_error

RUN_INFO = "run_info"
MODEL = ".model"
ARCHIVED = (METRICS, ".report")


class RunHook:
    """Writes a record as a run begins and as it ends; what the run makes carries its id."""

    def __init__(self) -> None:
        self._context: KedroContext | None = None
        self._record: RunRecord | None = None
        self._held = ExitStack()

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Keep the context: it knows the configuration."""
        self._context = context

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        """Write down who runs what, when, with which versions."""
        assert self._context is not None, "Kedro makes a context before it runs"
        self._record = begun(run_params, pipeline, catalog, self._context.config_loader)
        if RUN_INFO in pipeline.inputs():
            catalog.save(RUN_INFO, run_facts(self._record, catalog))
        folder = _folder(run_params, pipeline)
        make_folder(folder)
        # Interrupted runs leave "running" behind; the lock tells them from those at work.
        self._held.close()
        self._held.enter_context(sole_writer(folder / LOCK, to="this run", mend="wait for it"))
        write_record(folder, self._record)

    @hook_impl
    def before_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Let a model's card name the run that trained it."""
        if dataset_name.endswith(MODEL) and self._record is not None:
            from sc_mamba2.model import TaskModel

            if isinstance(data, TaskModel):
                data.run_id = self._record.run_id

    @hook_impl
    def after_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        """Keep a copy of every task's metrics and report under ``runs/<run id>/`` beside them."""
        metrics = {}
        for name in sorted(pipeline.all_outputs()):
            if name.endswith(ARCHIVED):
                task, path = name.split(".")[0], catalog[name].filepath
                folder = record_folder(Path(run_params["project_path"]), task, run_params["run_id"])
                _copy(path, folder / path.name)
                metrics |= {task: path} if name.endswith(METRICS) else {}
        self._end(run_params, pipeline, metrics)

    @hook_impl
    def on_pipeline_error(
        self, error: Exception, run_params: dict[str, Any], pipeline: Pipeline
    ) -> None:
        """Write down that the run failed, and why."""
        known = as_user_error(error)
        said = f"{known.rule}: {known.found}" if known else repr(error)
        self._end(run_params, pipeline, {}, said[:300])

    def _end(
        self,
        run_params: dict[str, Any],
        pipeline: Pipeline,
        metrics: dict[str, Path],
        error: str | None = None,
    ) -> None:
        assert self._record is not None, "a run begins before it ends"
        folder = _folder(run_params, pipeline)
        write_record(folder, ended(self._record, metrics, error))
        self._record = None
        self._held.close()
        (folder / LOCK).unlink(missing_ok=True)


def _folder(run_params: dict[str, Any], pipeline: Pipeline) -> Path:
    task = task_of(run_params, pipeline)
    return record_folder(Path(run_params["project_path"]), task, run_params["run_id"])


def _copy(path: Path, target: Path) -> None:
    with atomic_file(target) as draft:
        shutil.copyfile(path, draft)


def run_facts(record: RunRecord, catalog: CatalogProtocol) -> dict[str, Any]:
    """Return the facts of a run that its outputs carry, ready for JSON.

    Parameters
    ----------
    record
        Of the run.
    catalog
        The run's catalog, for the seed.
    """
    compute = catalog.load("params:compute")
    code = record.code
    return {
        "run_id": record.run_id,
        "started": record.started.isoformat(timespec="seconds"),
        "command": record.selection.kedro_line(),
        "version": code.version,
        "seed": compute["seed"] if isinstance(compute, dict) else compute.seed,
        "python": code.python,
        "libraries": code.libraries,
        "threads": code.threads,
        "machine": code.machine,
    }
