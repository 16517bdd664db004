"""The bar of long work: on a terminal only, and not where even warnings are not to be heard."""

import io
import logging

import pytest
from rich.console import Console

from sc_mamba2.tasks.shared import progress


@pytest.mark.parametrize(
    ("terminal", "quiet", "shown"),
    [(True, False, True), (True, True, False), (False, False, False)],
)
def test_a_bar_is_drawn_where_it_is_wanted(monkeypatch, terminal, quiet, shown):
    drawn = io.StringIO()
    console = Console(file=drawn, force_terminal=terminal)
    monkeypatch.setattr(progress, "Console", lambda stderr: console)
    logging.disable(logging.WARNING if quiet else logging.NOTSET)
    try:
        with progress.training_progress("training") as on_step:
            on_step(1, 2)
    finally:
        logging.disable(logging.NOTSET)
    assert ("training" in drawn.getvalue()) == shown
