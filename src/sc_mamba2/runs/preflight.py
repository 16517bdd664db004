"""Checks before anything heavy is loaded: names, values, files and columns of a run.

Checks that need the content of a file are left to the run itself.
"""

import contextlib
import glob
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sc_mamba2.cells.source_check import (
    check_exists,
    columns_and_layers,
    missing_column,
    missing_file,
    missing_layer,
    table_of,
    unnamed_source,
)
from sc_mamba2.errors import UserError, nearest
from sc_mamba2.files import restored
from sc_mamba2.model.config import preset
from sc_mamba2.model.folder import CONFIG, check_folder
from sc_mamba2.model.manifest import read_json
from sc_mamba2.runs.configuration import (
    check_params,
    choose_environment,
    merge_tables,
    read_globals,
    read_parameters,
)
from sc_mamba2.runs.selection import PARTS, Selection
from sc_mamba2.tasks.annotation.params import unused_by, unused_words
from sc_mamba2.tasks.shared.parameters import check_species, flatten, validated
from sc_mamba2.tasks.shared.params import TokenizationParams
from sc_mamba2.tasks.table import EVERY_TASK, READS, parameter_model

RUNNERS = ("SequentialRunner", "ThreadRunner", "ParallelRunner")
_DEFAULT = "__default__"
_FIT = "annotation.head.fit"
_KEEP_WORDS = "annotation.labels.keep_absence_words"
_LABELS, _BATCHES = "annotation.labels.key", "batch_correction.keys.batch_key"  # used for training
_log = logging.getLogger(__name__)
_MATRICES = ("X", "raw", "raw.X")  # that are not layers
# Parameters that name a file, and the rule for a missing one.
_FILES = {
    "perturbation.keys.feature_file": "feature-file",
    "gene_network.reference.reference_network": "reference-network",
    "reverse_perturbation.candidates.candidates": "candidates-file",
    "annotation.labels.rollup": "rollup-file",
}
# The same for gene names, which may also be given directly.
_NAMES = {
    "gene_network.genes.regulators": "regulators-file",
    "denoising.output.named_genes": "genes-file",
    "denoising.output.imputed_genes": "genes-file",
}
_INDEX = "index.json"
_TASK = {name: task.pipeline for task in EVERY_TASK for name in task.pipelines}
_TASK["reverse_perturbation"] = "perturbation"  # whose model it uses
_VOCABULARY: str = TokenizationParams.model_fields["vocabulary"].default


def check_run(selection: Selection, conf: Path, env: str | None) -> str | None:
    """Check what a run needs to start, and return the environment that Kedro is to read.

    Parameters
    ----------
    selection
        What to run; its paths are relative to the working folder.
    conf, env
        The configuration folder, and the requested environment.

    Raises
    ------
    UserError
        Rules ``pipeline-unknown``, ``conf-missing``, ``env-unknown``, ``runner-unknown``,
        ``parameter-unknown``, ``parameter-invalid``, and those for missing files, columns, layers and
        checkpoints.
    """
    check_names(selection)
    env = choose_environment(conf, env)
    check_params(selection.params, conf, env)
    known = read_parameters(conf, env)
    _check_values(selection.params, known)
    given = flatten(selection.params)
    values = flatten(known) | given
    _check_given(given)
    check_species(selection.pipelines, values.get("ingestion.species"))
    _remark_unused(given, values)
    places = read_globals(conf, env) | values
    if not any(getattr(selection, part) for part in (*PARTS, "only_missing_outputs")):
        for pipeline in selection.pipelines or ("tokenization",):  # the default
            if pipeline in READS:
                _check_read(pipeline, places, values)
    return env


def check_project_run(selection: Selection, project: Path) -> None:
    """Do the same as `check_run` for a run in a project, before Kedro is loaded."""
    with contextlib.chdir(project):
        check_run(selection, conf_of(selection, project), selection.env)


def conf_of(selection: Selection, project: Path) -> Path:
    """Return the absolute configuration folder of a run in a project."""
    return Path(selection.conf_source).absolute() if selection.conf_source else project / "conf"


def check_names(selection: Selection) -> None:
    """Raise rule ``pipeline-unknown`` or ``runner-unknown`` for unknown names."""
    for name in selection.pipelines:
        if name not in (*READS, _DEFAULT):
            raise UserError(
                "pipeline-unknown",
                found=f"the pipeline '{name}'",
                expected=f"one of {', '.join(sorted(READS))}",
                mend="choose one of these" + nearest(name, READS),
            )
    if selection.runner and "." not in selection.runner and selection.runner not in RUNNERS:
        raise unknown_runner(selection.runner)


def unknown_runner(name: str) -> UserError:
    """Return the error for an unknown runner (rule ``runner-unknown``)."""
    return UserError(
        "runner-unknown",
        found=f"the runner '{name}'",
        expected=f"one of {', '.join(RUNNERS)}, or the dotted path of a runner",
        mend="choose one of these" + nearest(name, RUNNERS),
    )


def _check_values(params: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Validate the parameter groups with the given values; values that conf/ computes are left out."""
    for group, given in params.items():
        if group in known and isinstance(given, dict):
            values = merge_tables(_plain(known[group]), given)
            validated(group, parameter_model(group), values)


def _remark_unused(given: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Warn of given network parameters that are unused because no network is trained."""
    fit = values.get(_FIT)
    if fit and (unused := unused_by(fit, given)):
        _log.warning("%s.", unused_words(fit, unused))


def _plain(value: Any) -> Any:
    """Leave out values that Kedro has to resolve first, such as ``${globals:input}``."""
    if not isinstance(value, dict):
        return value
    return {name: _plain(part) for name, part in value.items() if not _unresolved(part)}


def _unresolved(value: Any) -> bool:
    parts = value if isinstance(value, list) else [value]
    return any(isinstance(part, str) and "${" in part for part in parts)


def _check_given(given: Mapping[str, Any]) -> None:
    """Check the checkpoints, presets, vocabularies and files that given parameters name."""
    for name, value in given.items():
        last = name.rpartition(".")[2]
        if not isinstance(value, str):
            continue
        if last == "checkpoint" or name == "perturbation.keys.features":
            check_folder(value)
        elif last == "vocabulary" and value != _VOCABULARY:
            check_folder(value, known=(_VOCABULARY,))
        elif last == "preset":
            preset(value, vocabulary_size=3)
        elif name == "index" and not (restored(value) / _INDEX).is_file():
            raise UserError(
                "index-folder",
                found=f"no index at '{value}'",
                expected=f"a folder with {_INDEX}",
                mend="build one: scm index REF.h5ad --label-key KEY --output INDEX",
            )
        elif name in _NAMES and Path(value).suffix in (".txt", ".csv"):
            _check_file(name, value, _NAMES[name])
        elif name in _FILES and value != "all":
            _check_file(name, value, _FILES[name])


def _check_file(parameter: str, path: str, rule: str) -> None:
    if not Path(path).is_file():
        err = missing_file(Path(path))
        raise UserError(rule, found=err.found, expected=f"the file of {parameter}", mend=err.mend)


def _check_read(pipeline: str, places: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Check the cells that a pipeline reads, their columns, and the task of its checkpoint."""
    there = []
    for source, columns in READS[pipeline].items():
        value = places.get(source)
        if source == "checkpoint":
            _check_task(value, _TASK[pipeline])
        elif source != "index":
            if value is None:
                raise unnamed_source()
            sources = [value] if isinstance(value, str) else list(value)
            named = {values[name]: name for name in columns if values.get(name)}
            check_cells(sources, named, values.get("ingestion.layer"))
            there.append((sources, named))
    for sources, named in there:  # last, since it is slower
        _check_columns(sources, named, values)


def _check_columns(
    sources: list[str], columns: Mapping[str, str], values: Mapping[str, Any]
) -> None:
    """Check that labels and batches can be trained on, before a whole file is read."""
    wanted = {_LABELS, _BATCHES} & set(columns.values())
    path = _path(sources[0]) if len(sources) == 1 and wanted else None
    if path is None or (table := table_of(path, [values[name] for name in wanted])) is None:
        return
    from sc_mamba2.cells.labels import read_labels
    from sc_mamba2.tasks.shared.batches import read_batches

    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))  # the run itself logs warnings
    try:
        if _LABELS in wanted:
            read_labels(table, values[_LABELS], bool(values.get(_KEEP_WORDS)))
        if _BATCHES in wanted:
            read_batches(table, values[_BATCHES])
    finally:
        logging.disable(before)


def _check_task(name: str | None, task: str) -> None:
    if name is None:
        raise UserError(
            "checkpoint-folder",
            found="no checkpoint was given",
            expected="a checkpoint folder",
            mend="pass it: --params checkpoint=FOLDER",
        )
    found = read_json(check_folder(name) / CONFIG).get("task")
    if found != task:
        raise UserError(
            "checkpoint-task",
            found=f"a checkpoint of the task '{found}' in '{name}'",
            expected=f"one of the task '{task}'",
            mend=f"give a folder written by {task}"
            + (f", or start a training from it: --start {name}" if found == "pretrained" else ""),
        )


def check_cells(sources: list[str], columns: Mapping[str, str], layer: str | None = None) -> None:
    """Check that cells exist, and that some file has each column of obs and the layer.

    Parameters
    ----------
    sources
        Files and names, one or more for the same cells.
    columns
        The parameter that names each column, by column.
    layer
        Name of a layer.

    Raises
    ------
    UserError
        Rules of `check_exists`; ``label-missing`` and the like; ``layer-missing``.
    """
    paths = list(map(_path, sources))
    seen = [path and columns_and_layers(path) for path in paths]
    if not all(seen):
        return  # they would have to be read
    there = list(dict.fromkeys(name for names, _ in seen for name in names))
    if not there:
        return  # the readers will report why, such as genes instead of cells
    for column, parameter in columns.items():
        if column not in there:
            named = " and ".join(f"'{Path(source).name}'" for source in sources)
            raise missing_column(column, there, *_rule_and_option(parameter), f"obs of {named}")
    layers = list(dict.fromkeys(name for _, names in seen for name in names))
    known = layer is None or layer in (*layers, *_MATRICES) or "/" in layer  # a nested group
    if not known:
        raise missing_layer(str(layer), layers)


def _path(source: str) -> Path | None:
    """Return the path of a source, or ``None`` for a named source, a pattern or a list."""
    if "${" in source or (glob.has_magic(source) and not Path(source).exists()):
        return None
    kind, equals, place = source.partition("=")
    place = place if equals and kind.isidentifier() else source
    return None if place.endswith(".txt") else check_exists(place)


def _rule_and_option(parameter: str) -> tuple[str, str]:
    """Return the rule for a missing column, and the option that names the column."""
    last = parameter.rpartition(".")[2]
    what = {"key": "label", "query_key": "label", "dose_key": "perturbation", "time_key": "context"}
    rule = what.get(last, last.removesuffix("_key").replace("_", "-"))
    options = (option for task in EVERY_TASK for option in task.options)
    flag = next((option.flag for option in options if option.sets == parameter), parameter)
    return f"{rule}-missing", "--label-key" if rule == "label" else flag
