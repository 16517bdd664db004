"""The Kedro hook that records a run: the dataset `run_info`, its record, metrics and report.

The format of a record is in `records`.
"""

import json
import logging
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kedro.config import AbstractConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from sc_mamba2.files import atomic_file, file_facts, make_folder, sole_writer
from sc_mamba2.model.folder import CONFIG
from sc_mamba2.model.manifest import read_json
from sc_mamba2.runs.command_line import typed
from sc_mamba2.runs.configuration import (
    READ,
    SOURCES,
    data_folder,
    shipped_conf,
    shipped_parameters,
)
from sc_mamba2.runs.fingerprints import code_facts, fingerprint, located
from sc_mamba2.runs.records import LOCK, DataFact, RunRecord, record_folder, write_record
from sc_mamba2.runs.selection import Selection, as_text, nest
from sc_mamba2.runs.translate import as_user_error
from sc_mamba2.tasks.shared.parameters import (
    changed_text,
    decided_by_model,
    flat_parameters,
    flatten,
    plain,
)

RUN_INFO, PARAMETERS = "run_info", "parameters"
MODEL, CHECKPOINT, METRICS, REPORT = ".model", ".checkpoint", ".metrics", ".report"
SCORES = "scores.json"
_log = logging.getLogger(__name__)
_PARAMS, FROM_CHECKPOINT = "params:", "(from the checkpoint)"
# Parameters that say where a run resumes from, not what it computes.
PLACES = (
    "embedding.source.blocks", "annotation.launch.blocks", "pretraining.corpus.store", "pretraining.launch.run",
)  # fmt: skip


class RunHook:
    """Writes a record when a run starts and ends; the outputs of the run contain its id."""

    def __init__(self) -> None:
        self._context: KedroContext | None = None
        self._record: RunRecord | None = None
        self._folder = Path()
        self._before: dict[str, list] = {}
        self._held = ExitStack()

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Keep the context, which has the configuration."""
        self._context = context

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        """Record what runs, when, and with which versions."""
        assert self._context is not None, "Kedro makes a context before it runs"
        self._held.close()
        self._held.enter_context(_threads(catalog))
        self._record = _begin(run_params, pipeline, catalog, self._context.config_loader)
        model = _of_checkpoint(pipeline, catalog)
        if RUN_INFO in pipeline.inputs():
            catalog.save(RUN_INFO, _facts(self._record, catalog, model))
        if model and PARAMETERS in pipeline.inputs():
            values = flatten(plain(catalog.load(PARAMETERS)))
            marked = {name: f"{as_text(value)} {FROM_CHECKPOINT}" for name, value in model.items()}
            catalog.save(PARAMETERS, nest(values | marked))
        self._before = {
            name: file_facts(path) for name, path in _results(pipeline, catalog).items()
        }
        self._folder = self._keep(run_params, _task(run_params, pipeline))
        make_folder(self._folder)
        # Interrupted runs stay "running"; the lock distinguishes them from live ones.
        lock = sole_writer(self._folder / LOCK, to="this run", mend="wait for it")
        self._held.enter_context(lock)
        write_record(self._folder, self._record)

    @hook_impl
    def before_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Store in a model the id and the parameters of the run that trained it."""
        if dataset_name.endswith(MODEL) and self._record is not None:
            from sc_mamba2.model import TaskModel

            if isinstance(data, TaskModel):
                data.run_id = self._record.run_id
                own = self._record.parameters.items()
                data.trained_with = {n: v for n, v in own if n not in (*SOURCES, *PLACES)}

    @hook_impl
    def after_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        """Copy every task's metrics and report to ``runs/<run id>/``, and write ``scores.json``.

        DVC shows everything in a metrics file, so ``scores.json`` contains only numbers.
        """
        metrics = {}
        for name, path in _results(pipeline, catalog).items():
            if file_facts(path) == self._before[name]:  # unchanged, so from an earlier run
                _log.warning(
                    "%s is from an earlier run and is not kept as a result of this one", path.name
                )
                continue
            task = name.split(".")[0]
            with atomic_file(self._keep(run_params, task) / path.name) as draft:
                shutil.copyfile(path, draft)
            metrics |= {task: path} if name.endswith(METRICS) else {}
        scores = {task: _scores(path) for task, path in metrics.items()}
        for task, path in metrics.items():
            with atomic_file(path.with_name(SCORES)) as draft:
                draft.write_text(json.dumps(scores[task], indent=1) + "\n", encoding="utf-8")
        self._end("finished", scores=scores)

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Record that the run failed, and why."""
        known = as_user_error(error)
        reason = f"{known.rule}: {known.found}" if known else repr(error)
        self._end("failed", error=reason[:300])

    def _keep(self, run_params: Mapping[str, Any], task: str) -> Path:
        """Return the folder of a run for a task, among the layers of its environment."""
        assert self._context is not None, "Kedro makes a context before it runs"
        layers = Path(run_params["project_path"]) / data_folder(self._context.config_loader)
        return record_folder(layers, task, run_params["run_id"])

    def _end(self, state: str, **outcome: Any) -> None:
        assert self._record is not None, "a run begins before it ends"
        seconds = round((datetime.now(UTC) - self._record.started).total_seconds(), 1)
        outcome |= {"state": state, "seconds": seconds}
        write_record(self._folder, self._record.model_copy(update=outcome))
        self._record = None
        self._held.close()
        (self._folder / LOCK).unlink(missing_ok=True)


def _threads(catalog: CatalogProtocol) -> AbstractContextManager[None]:
    """Use a single thread if ``compute.deterministic`` is set."""
    from sc_mamba2.training.machine import one_thread

    compute = catalog.load("params:compute")
    wanted = compute["deterministic"] if isinstance(compute, dict) else compute.deterministic
    return one_thread(bool(wanted))


def _results(pipeline: Pipeline, catalog: CatalogProtocol) -> dict[str, Path]:
    """Return the paths of a pipeline's metrics and reports, by name."""
    names = sorted(name for name in pipeline.all_outputs() if name.endswith((METRICS, REPORT)))
    return {name: catalog[name].filepath for name in names}


def _task(run_params: Mapping[str, Any], pipeline: Pipeline) -> str:
    """Return the task whose reporting folder keeps a run: the first it scores, else the pipeline's name."""
    tasks = sorted(name.split(".")[0] for name in pipeline.all_outputs() if name.endswith(METRICS))
    return tasks[0] if tasks else (run_params["pipeline_names"] or ["default"])[0].strip("_")


def _of_checkpoint(pipeline: Pipeline, catalog: CatalogProtocol) -> dict[str, Any]:
    """Return the parameters decided by the trained model that a pipeline reads, by name."""
    name = next((name for name in pipeline.inputs() if name.endswith(CHECKPOINT)), None)
    folder = name and catalog.get(name).filepath
    if not folder or not (Path(folder) / CONFIG).is_file():  # the run itself reports it
        return {}
    config = read_json(Path(folder) / CONFIG)
    own = {one.removeprefix(_PARAMS) for one in pipeline.inputs() if one.startswith(_PARAMS)}
    return decided_by_model(config, own)


def _facts(record: RunRecord, catalog: CatalogProtocol, model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a run that are stored in its outputs, JSON-ready."""
    compute = catalog.load("params:compute")
    defaults = shipped_parameters()
    code = record.code
    return {
        "run_id": record.run_id,
        "started": record.started.isoformat(timespec="seconds"),
        "command": record.command,
        "parameters": changed_text(record.parameters | model, defaults),
        "version": code.version,
        "seed": compute["seed"] if isinstance(compute, dict) else compute.seed,
        "python": code.python,
        "libraries": code.libraries,
        "threads": code.threads,
        "machine": code.machine,
    }


def _begin(
    run_params: dict[str, Any],
    pipeline: Pipeline,
    catalog: CatalogProtocol,
    loader: AbstractConfigLoader,
) -> RunRecord:
    """Return the record of a run that is about to start."""
    parameters = _parameters(pipeline, catalog)
    data = _data(pipeline, catalog, parameters)
    read = {source for fact in data.values() for source in fact.sources}
    given = {**loader["globals"], **(loader.runtime_params or {})}
    defaults = shipped_parameters()
    return RunRecord(
        run_id=run_params["run_id"],
        state="running",
        started=datetime.now(UTC),
        selection=(selection := _selection(run_params, loader)),
        command=typed() or selection.kedro_line(),
        parameters=parameters | {name: given[name] for name in SOURCES if given.get(name) in read},
        defaults={
            name: defaults.get(name)
            for name, value in parameters.items()
            if name not in data and value != defaults.get(name)
        },
        data=data,
        code=code_facts(),
    )


def _parameters(pipeline: Pipeline, catalog: CatalogProtocol) -> dict[str, Any]:
    names = [name for name in sorted(pipeline.inputs()) if name.startswith(_PARAMS)]
    groups = {name.removeprefix(_PARAMS): catalog.load(name) for name in names}
    values = flat_parameters(groups, tuple(groups))
    return {name: value for name, value in values.items() if name not in PLACES}


def _data(
    pipeline: Pipeline, catalog: CatalogProtocol, parameters: Mapping[str, Any]
) -> dict[str, DataFact]:
    """Return source and hash of every input dataset, and of every parameter that names a file."""
    read: dict[str, list[str]] = {}
    for name in sorted(pipeline.inputs()):
        if not name.startswith(_PARAMS) and name != "parameters":
            dataset = catalog.get(name)
            source = getattr(dataset, "source", None) or getattr(dataset, "filepath", None)
            read |= {name: [str(source)]} if source else {}
    for name, value in parameters.items():
        if name.rsplit(".", 1)[-1] in READ and value:
            values = value if isinstance(value, list) else [value]
            read |= {name: values} if any(map(_is_source, values)) else {}
    return {name: DataFact(sources=at, sha256=_hash(at)) for name, at in read.items()}


def _is_source(value: Any) -> bool:
    return isinstance(value, str) and (bool(located(value)) or ":" in value)


def _hash(sources: list[str]) -> str | None:
    try:
        return fingerprint(sources)
    except OSError:  # the run itself reports it
        return None


def _selection(run_params: Mapping[str, Any], loader: AbstractConfigLoader) -> Selection:
    # Kedro passes the runner as an object without its name.
    known = (Selection.model_fields.keys() & run_params.keys()) - {"runner"}
    chosen = {field: run_params[field] for field in known if run_params[field]}
    own = (shipped_conf().resolve(), (Path(run_params["project_path"]) / "conf").resolve())
    if Path(loader.conf_source).resolve() not in own:
        chosen["conf_source"] = str(loader.conf_source)
    names = tuple(run_params["pipeline_names"] or ["__default__"])
    return Selection(**chosen | {"pipelines": names, "params": run_params["runtime_params"]})


def _scores(path: Path) -> dict[str, float | None]:
    """Return the scores in a ``metrics.json``."""
    metrics = json.loads(path.read_text(encoding="utf-8"))
    facts = ("summary", "data", "run")
    flat = flatten({name: part for name, part in metrics.items() if name not in facts})
    return {
        name: float(value)
        for name, value in flat.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
