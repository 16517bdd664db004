"""From a Kedro run to its record: what is known before it begins, and what it came to."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kedro.config import AbstractConfigLoader
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from sc_mamba2.runs.configuration import READ, SOURCES, shipped_conf
from sc_mamba2.runs.defaults import shipped_parameters
from sc_mamba2.runs.fingerprints import code_facts, fingerprint, located
from sc_mamba2.runs.records import DataFact, RunRecord
from sc_mamba2.runs.selection import Selection
from sc_mamba2.tasks.shared.parameters import flat_parameters, flatten

METRICS = ".metrics"
_PARAMS = "params:"
# Parameters that say where a run goes on from, not what it does.
PLACES = ("embedding.source.blocks", "pretraining.corpus.store", "pretraining.launch.run")


def task_of(run_params: Mapping[str, Any], pipeline: Pipeline) -> str:
    """Return whose reporting folder keeps a run: the first task that it scores, else the pipeline."""
    tasks = sorted(name.split(".")[0] for name in pipeline.all_outputs() if name.endswith(METRICS))
    return tasks[0] if tasks else (run_params["pipeline_names"] or ["default"])[0].strip("_")


def begun(
    run_params: dict[str, Any],
    pipeline: Pipeline,
    catalog: CatalogProtocol,
    loader: AbstractConfigLoader,
) -> RunRecord:
    """Return the record of a run that is about to begin.

    Parameters
    ----------
    run_params, pipeline, catalog
        As Kedro gives them to its hooks.
    loader
        The configuration of the run.
    """
    parameters = _parameters(pipeline, catalog)
    data = _data(pipeline, catalog, parameters)
    read = {source for fact in data.values() for source in fact.sources}
    sources = {name: value for name, value in _sources(loader).items() if value in read}
    defaults = flatten(shipped_parameters())
    return RunRecord(
        run_id=run_params["run_id"],
        state="running",
        started=datetime.now(UTC),
        selection=_selection(run_params, loader),
        parameters=parameters | sources,
        defaults={
            name: defaults.get(name)
            for name, value in parameters.items()
            if name not in data and value != defaults.get(name)
        },
        data=data,
        code=code_facts(),
    )


def ended(record: RunRecord, metrics: Mapping[str, Path], error: str | None = None) -> RunRecord:
    """Return the record of a run that came to its end.

    Parameters
    ----------
    record
        As `begun` made it.
    metrics
        The ``metrics.json`` of each task.
    error
        Why it failed, if it did.
    """
    return record.model_copy(
        update={
            "state": "failed" if error else "finished",
            "seconds": round((datetime.now(UTC) - record.started).total_seconds(), 1),
            "error": error,
            "scores": {task: _scores(path) for task, path in metrics.items()},
        }
    )


def _parameters(pipeline: Pipeline, catalog: CatalogProtocol) -> dict[str, Any]:
    names = [name for name in sorted(pipeline.inputs()) if name.startswith(_PARAMS)]
    groups = {name.removeprefix(_PARAMS): catalog.load(name) for name in names}
    found = flat_parameters(groups, tuple(groups))
    return {name: value for name, value in found.items() if name not in PLACES}


def _data(
    pipeline: Pipeline, catalog: CatalogProtocol, parameters: Mapping[str, Any]
) -> dict[str, DataFact]:
    """Look at every dataset that nothing in the pipeline makes, and every parameter that names a file."""
    named: dict[str, list[str]] = {}
    for name in sorted(pipeline.inputs()):
        if not name.startswith(_PARAMS) and name != "parameters":
            dataset = catalog.get(name)
            source = getattr(dataset, "source", None) or getattr(dataset, "_filepath", None)
            named |= {name: [str(source)]} if source else {}
    for name, value in parameters.items():
        if name.rsplit(".", 1)[-1] in READ and value:
            values = value if isinstance(value, list) else [value]
            named |= {name: values} if any(map(_is_source, values)) else {}
    return {name: DataFact(sources=at, sha256=_hashed(at)) for name, at in named.items()}


def _is_source(value: Any) -> bool:
    return isinstance(value, str) and (bool(located(value)) or ":" in value)


def _hashed(sources: list[str]) -> str | None:
    try:
        return fingerprint(sources)
    except OSError:  # the run itself says what is wrong with it
        return None


def _sources(loader: AbstractConfigLoader) -> dict[str, Any]:
    given = {**loader["globals"], **(loader.runtime_params or {})}
    return {name: given[name] for name in SOURCES if given.get(name) is not None}


def _selection(run_params: Mapping[str, Any], loader: AbstractConfigLoader) -> Selection:
    # Kedro passes the runner on as an object without its name.
    known = (Selection.model_fields.keys() & run_params.keys()) - {"runner"}
    chosen = {field: run_params[field] for field in known if run_params[field]}
    elsewhere = Path(loader.conf_source).resolve() not in (
        shipped_conf().resolve(),
        (Path(run_params["project_path"]) / "conf").resolve(),
    )
    if elsewhere:
        chosen["conf_source"] = str(loader.conf_source)
    names = tuple(run_params["pipeline_names"] or ["__default__"])
    return Selection(**chosen | {"pipelines": names, "params": run_params["runtime_params"]})


def _scores(path: Path) -> dict[str, float | None]:
    """Return the numbers of a ``metrics.json`` that say how good something is."""
    found = json.loads(path.read_text(encoding="utf-8"))
    flat = flatten({name: part for name, part in found.items() if name not in ("data", "run")})
    return {
        name: float(value)
        for name, value in flat.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
