"""Make a task's verb from its row in the task table: options, checks, run and output."""

import functools
import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sc_mamba2.commands.options import contradiction, forced_path, resolve_source
from sc_mamba2.files import shipped_conf
from sc_mamba2.tasks.shared.row import Option, Task
from sc_mamba2.tasks.table import changed_parameters

if TYPE_CHECKING:
    from sc_mamba2.runs.selection import Selection

Given = SimpleNamespace  # values by option name


def task_verb(task: Task, verb: Callable[[Given], None]) -> Callable[..., None]:
    """Return a Typer command that takes the options of a task and calls `verb` with their values."""

    @functools.wraps(verb)
    def command(**values: Any) -> None:
        from sc_mamba2.runs.logs import set_logging

        given = Given(**values)
        set_logging(given.verbose)
        _refuse_training_options(task, given)
        verb(given)

    parameters = [_parameter(option) for option in task.options]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


def verb_of(task: Task) -> Callable[[Given], None]:
    """Return the function of a task's verb: from its file in `commands`, else one that just runs the task."""
    module = f"sc_mamba2.commands.{task.verb}"
    if find_spec(module) is not None:
        verb: Callable[[Given], None] = getattr(import_module(module), task.verb)
        return verb

    def plain(given: Given) -> None:
        run_task(task, task.pipeline, given)

    plain.__name__, plain.__doc__ = task.verb, task.help
    return plain


def run_task(
    task: Task, pipeline: str, given: Given, more: Mapping[str, Any] | None = None
) -> None:
    """Run a task's pipeline (by its name in `scm run`) for its verb, and show the results; see `select`."""
    from sc_mamba2.commands.results import show_results
    from sc_mamba2.runs.verbs import run_verb

    selection = select(task, pipeline, given, more)
    result = f"{task.pipeline}.{task.result}"
    kept = run_verb(selection, given.output, task.pipeline, result, given.force, task.suffix)
    word = task.result if task.suffix == ".csv" else "cells"
    files = {name: kept.folder / file for name, file in task.shows.items()}
    places = {word: kept.output, **files, "report": kept.folder / "report.html"}
    show_results(kept.folder / "metrics.json", places)


def select(
    task: Task, pipeline: str, given: Given, more: Mapping[str, Any] | None = None
) -> "Selection":
    """Return the selection that a verb runs.

    Parameters
    ----------
    given
        Values of the options.
    more
        Further parameters by dotted name, possibly ``None``; options and ``--params`` override them.
    """
    from sc_mamba2.runs.selection import Selection, given_params, merge, nest
    from sc_mamba2.versions.names import with_paths

    values = {
        option.name: _resolve_option(option, getattr(given, option.name)) for option in task.options
    }
    chosen = changed_parameters(task.options, values)
    chosen["compute.scan_path"] = forced_path(
        getattr(given, "scan_path", None), getattr(given, "require_kernels", False)
    )
    if isinstance(checkpoint := getattr(given, "checkpoint", None), Path):
        chosen["checkpoint"] = _named(checkpoint)
    extra = with_paths(nest(dict(more or {})), Path.cwd())
    params = merge(extra, given_params(chosen, given.params))
    return Selection(pipelines=(pipeline,), params=params, env=getattr(given, "env", None))


def _named(checkpoint: Path) -> str:
    """Return a checkpoint folder as an absolute path, a name or URL unchanged."""
    from sc_mamba2.model.folder import shipped_checkpoints
    from sc_mamba2.model.hub_cache import hub_name
    from sc_mamba2.remote import address_of

    name = str(checkpoint)
    elsewhere = (hub_name(name) or address_of(name)) is not None and not checkpoint.exists()
    return name if elsewhere or name in shipped_checkpoints() else str(checkpoint.resolve())


def _parameter(option: Option) -> inspect.Parameter:
    kinds: dict[type, Any] = {list: list[str], bool: bool}
    kind = kinds.get(option.kind, option.kind)
    default: Any = False if option.kind is bool else None
    if option.required:
        default = inspect.Parameter.empty
    elif option.kind is not bool:
        kind = kind | None
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, _typer_info(option)],
    )


def _typer_info(option: Option) -> Any:
    text = option.help
    if (default := _default(option)) is not None:
        text = f"{text.removesuffix('.')} (default {default})."
    if option.metavar:
        return typer.Argument(metavar=option.metavar, help=text)
    names = [option.flag]
    names += [f"--{option.also}"] if option.also else []
    names += [f"-{option.short}"] if option.short else []
    return typer.Option(*names, help=text, rich_help_panel=option.panel or None)


def _default(option: Option) -> str | None:
    """Return as text the default of the parameter that an option sets, or None if none is shown."""
    if not (option.sets and option.own_default) or option.kind is bool:
        return None
    value: Any = _defaults()
    for name in option.sets.split()[0].split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return None if value is None else str(value)


@functools.cache
def _defaults() -> dict[str, Any]:
    """Read the defaults from conf/base/parameters, without importing the parameter models."""
    from sc_mamba2.runs.configuration import read_parameters

    return read_parameters(shipped_conf(), "base")


def _resolve_option(option: Option, value: Any) -> Any:
    return resolve_source(str(value)) if isinstance(value, Path) and option.sets else value


def _refuse_training_options(task: Task, given: Given) -> None:
    """Raise rule ``options`` if a trained checkpoint comes with options that only training uses."""
    if getattr(given, "checkpoint", None) is None:
        return
    for option in task.options:
        if option.training and getattr(given, option.name) not in (None, False):
            raise contradiction(
                f"--checkpoint with {option.flag}",
                "only a trained folder: it knows how it was trained, and nothing is trained",
                f"leave {option.flag} out",
            )
