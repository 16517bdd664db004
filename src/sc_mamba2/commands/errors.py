"""How a verb ends when something is wrong: one message, exit code 2, no traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from sc_mamba2.errors import UserError

WRONG_USE = 2


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
    typer.secho(f"Error ({error.rule})", fg="red", bold=True, err=True)
    for word, text in (("found", error.found), ("expected", error.expected), ("mend", error.mend)):
        typer.echo(f"  {word + ':':<10}{text}", err=True)
    raise typer.Exit(WRONG_USE)
