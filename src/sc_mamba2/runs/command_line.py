"""The command as typed, to be stored with the results of a run."""

import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from sc_mamba2.remote import without_secrets

_typed: ContextVar[str | None] = ContextVar("typed", default=None)
typed = _typed.get  # quoted for a shell; None outside a command of ours


@contextmanager
def recorded_command(words: Iterable[str]) -> Iterator[None]:
    """Remember the arguments of `scm` while the command runs, without secrets in URLs."""
    token = _typed.set(shlex.join(["scm", *map(without_secrets, words)]))
    try:
        yield
    finally:
        _typed.reset(token)
