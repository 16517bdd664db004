"""A progress bar for trainings and other long work, on a terminal only."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from sc_mamba2.training.loop import OnStep

_log = logging.getLogger(__name__)


@contextmanager
def training_progress(
    title: str, epochs: int | None = None, unit: str = "step"
) -> Iterator[OnStep]:
    """Show a bar over the steps of a long work; give the callable that moves it.

    Parameters
    ----------
    title
        What is under way.
    epochs
        Epochs at most, to be shown; None where only steps count.
    unit
        What is counted.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn(title),
        BarColumn(),
        TextColumn("{task.fields[at]}"),
        TimeRemainingColumn(),
    )
    # Where not even warnings are to be heard, progress is not to be seen.
    shown = console.is_terminal and _log.isEnabledFor(logging.WARNING)
    with Progress(*columns, console=console, disable=not shown, transient=True) as bar:
        task = bar.add_task("fit", total=None, at="")

        def on_step(step: int, steps: int) -> None:
            at = f"{unit} {step:,} of {steps:,}"
            if epochs is not None:
                at = f"epoch {1 + (step - 1) * epochs // steps} of at most {epochs}"
            bar.update(task, completed=step, total=steps, at=at)

        yield on_step
