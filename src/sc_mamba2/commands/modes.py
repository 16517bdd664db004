"""How a verb answers: in words, quietly, or as JSON. The options stand here once, for every verb.

Also: wrong use of the command line, told as JSON where JSON was asked for.
"""

import functools
import inspect
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

_PANEL = "How it answers"
_OPTIONS = {
    "quiet": Annotated[
        bool,
        typer.Option(
            "--quiet", "-q", help="Say where the results are, no more.", rich_help_panel=_PANEL
        ),
    ],
    "as_json": Annotated[
        bool,
        typer.Option("--json", help="Answer in JSON, for programs.", rich_help_panel=_PANEL),
    ],
}
_DRY = {
    "dry_run": Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Check the input, take three steps, tell cost and time; write nothing.",
            rich_help_panel=_PANEL,
        ),
    ]
}


@dataclass(frozen=True)
class Mode:
    """How the verb that runs now is to answer."""

    quiet: bool = False
    json: bool = False
    dry_run: bool = False


_IN_WORDS = Mode()
_mode: ContextVar[Mode] = ContextVar("mode", default=_IN_WORDS)


def mode() -> Mode:
    """Return how the verb that runs now is to answer."""
    return _mode.get()


def with_modes(verb: Callable[..., None], can_be_dry: bool = False) -> Callable[..., None]:
    """Return a verb that also takes the options of this file, behind its own."""

    @functools.wraps(verb)
    def command(*, quiet: bool, as_json: bool, dry_run: bool = False, **own: Any) -> None:
        if quiet and own.get("verbose"):
            raise typer.BadParameter("--quiet and --verbose contradict each other")
        with _answering(Mode(quiet, as_json, dry_run)):
            if not dry_run:
                return verb(**own)
            from sc_mamba2.commands.estimate import show_dry_run
            from sc_mamba2.runs import dry_run as dry

            with dry.dry_run() as found:
                verb(**own)
            show_dry_run(found)

    signature = inspect.signature(verb)
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in (_OPTIONS | (_DRY if can_be_dry else {})).items()
    ]
    parameters = [*signature.parameters.values(), *more]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return command


@contextmanager
def _answering(chosen: Mode) -> Iterator[None]:
    """Hold the mode for as long as a verb runs; a quiet one lets nothing but errors be heard."""
    token, before = _mode.set(chosen), logging.root.manager.disable
    try:
        with warnings.catch_warnings():
            if chosen.quiet:
                logging.disable(logging.WARNING)
                warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        _mode.reset(token)


class Verbs(TyperGroup):
    """The verbs; a wrong use of one is told as JSON where its line asks for JSON."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        """Remember whether the line asks for JSON: a wrong one may never come to its verb."""
        ctx.meta["json"] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: typer.Context) -> Any:
        """Call the verb."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            # Of click's errors: which class they have differs between versions of Typer.
            if not (ctx.meta["json"] and hasattr(error, "format_message")):
                raise
            usage = {
                "rule": "usage",
                "found": error.format_message(),
                "expected": "a verb with its options",
                "mend": "look at `scm --help` and `scm VERB --help`",
            }
            typer.echo(json.dumps({"error": usage}))
            raise typer.Exit(2) from error
