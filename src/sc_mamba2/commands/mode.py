"""How the verb that runs now is to answer; asked by all that show something."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


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


@contextmanager
def answering(chosen: Mode) -> Iterator[None]:
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
