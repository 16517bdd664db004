"""How a verb ends when something is wrong: one message, exit code 2, no traceback."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from sc_mamba2.commands.answer import mode
from sc_mamba2.errors import UserError

WRONG_USE = 2
_PARTS = ("found", "expected", "mend")


@contextmanager
def told_once() -> Iterator[None]:
    """Print what a person can act on and leave with code 2; let our own mistakes through."""
    try:
        yield
    except UserError as error:
        _tell(error)
    except Exception as error:
        from sc_mamba2.runs.translate import as_user_error

        known = as_user_error(error)
        if known is None:
            raise
        _tell(known)


def _tell(error: UserError) -> None:
    parts = {name: getattr(error, name) for name in _PARTS}
    if mode().json:
        typer.echo(json.dumps({"error": {"rule": error.rule} | parts}))
    else:
        Console(stderr=True, highlight=False).print(f"Error ({error.rule})", style="bold red")
        for name, text in parts.items():
            typer.echo(f"  {name + ':':<10}{text}", err=True)
    raise typer.Exit(WRONG_USE)
