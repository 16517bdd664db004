"""The output mode of the current verb."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Mode:
    """The output mode of a verb."""

    quiet: bool = False
    json: bool = False
    dry_run: bool = False


_TEXT = Mode()
_mode: ContextVar[Mode] = ContextVar("mode", default=_TEXT)


def mode() -> Mode:
    """Return the output mode of the current verb."""
    return _mode.get()


@contextmanager
def output_mode(chosen: Mode) -> Iterator[None]:
    """Set the mode while a verb runs; a quiet one silences everything but errors."""
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
