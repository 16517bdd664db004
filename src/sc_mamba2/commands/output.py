"""How a verb answers: as text, quietly or as JSON, with one message for a user error."""

import functools
import inspect
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from typer.core import TyperGroup

from sc_mamba2.commands.mode import Mode, mode, output_mode
from sc_mamba2.errors import UserError
from sc_mamba2.runs.command_line import recorded_command


@contextmanager
def user_errors() -> Iterator[None]:
    """Print user errors and exit with code 2; let bugs of ours through."""
    try:
        yield
    except typer.Exit:
        raise
    except UserError as error:
        _exit_with(error, mode().json)
    except Exception as error:
        from sc_mamba2.runs.translate import as_user_error

        known = as_user_error(error)
        if known is None:
            raise
        _exit_with(known, mode().json)


def _exit_with(error: UserError, as_json: bool) -> NoReturn:
    parts = {name: getattr(error, name) for name in ("found", "expected", "mend")}
    if as_json:
        typer.echo(json.dumps({"error": {"rule": error.rule} | parts}))
    else:
        Console(stderr=True, highlight=False).print(f"Error ({error.rule})", style="bold red")
        for name, text in parts.items():
            typer.echo(f"  {name + ':':<10}{text}", err=True)
    raise typer.Exit(2)


def _flag(help: str, *names: str) -> Any:
    return Annotated[bool, typer.Option(*names, help=help, rich_help_panel="Output")]


_OPTIONS = {
    "quiet": _flag("Print only the paths of the results.", "--quiet", "-q"),
    "as_json": _flag("Print JSON, for programs.", "--json"),
    "dry_run": _flag(
        "Check the input, take three steps, estimate cost and time; write nothing.", "--dry-run"
    ),
}


def with_modes(verb: Callable[..., None], can_be_dry: bool = False) -> Callable[..., None]:
    """Return a verb that also takes the options above and answers in their mode."""

    @functools.wraps(verb)
    def command(*, quiet: bool, as_json: bool, dry_run: bool = False, **own: Any) -> None:
        if quiet and own.get("verbose"):
            raise typer.BadParameter("--quiet and --verbose contradict each other")
        with output_mode(Mode(quiet, as_json, dry_run)), user_errors():
            if not dry_run:
                return verb(**own)
            from sc_mamba2.commands.estimate import show_dry_run
            from sc_mamba2.runs import dry_run as dry

            with dry.dry_run() as estimate:
                verb(**own)
            show_dry_run(estimate)

    signature = inspect.signature(verb)
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in _OPTIONS.items()
        if can_be_dry or name != "dry_run"
    ]
    parameters = [*signature.parameters.values(), *more]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return command


class Verbs(TyperGroup):
    """The verbs; a wrong use of one is answered as JSON where its line asks for JSON."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        """Remember the arguments and whether they ask for JSON, since invalid ones never reach a verb."""
        ctx.meta["json"], ctx.meta["words"] = "--json" in args, list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: typer.Context) -> Any:
        """Call the verb."""
        try:
            with recorded_command(ctx.meta["words"]):
                return super().invoke(ctx)
        except Exception as error:
            # Errors of click, whose class differs between versions of Typer.
            if not (ctx.meta["json"] and hasattr(error, "format_message")):
                raise
            expected, mend = "a verb with its options", "see `scm --help` and `scm VERB --help`"
            usage = UserError("usage", found=error.format_message(), expected=expected, mend=mend)
            _exit_with(usage, as_json=True)
