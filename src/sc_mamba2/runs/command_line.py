"""The command that was typed: what a run leaves behind names it."""

import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from sc_mamba2.remote import without_secrets

_typed: ContextVar[str | None] = ContextVar("typed", default=None)
typed = _typed.get  # quoted for a shell, or None where no command of ours runs


@contextmanager
def remembered(words: Iterable[str]) -> Iterator[None]:
    """Hold the words behind `scm` for as long as the command runs, without secrets of addresses."""
    token = _typed.set(shlex.join(["scm", *map(without_secrets, words)]))
    try:
        yield
    finally:
        _typed.reset(token)
