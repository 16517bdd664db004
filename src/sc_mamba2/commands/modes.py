"""The options that say how a verb answers, once for every verb; `answer` holds what was chosen.

Also: wrong use of the command line, told as JSON where JSON was asked for.
"""

import functools
import inspect
import json
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sc_mamba2.commands.answer import Mode, answering

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


def with_modes(verb: Callable[..., None], can_be_dry: bool = False) -> Callable[..., None]:
    """Return a verb that also takes the options of this file, behind its own."""

    @functools.wraps(verb)
    def command(*, quiet: bool, as_json: bool, dry_run: bool = False, **own: Any) -> None:
        if quiet and own.get("verbose"):
            raise typer.BadParameter("--quiet and --verbose contradict each other")
        with answering(Mode(quiet, as_json, dry_run)):
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
