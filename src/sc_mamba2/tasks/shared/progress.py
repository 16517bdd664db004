"""Progress bars for runs, training and other long work, on a terminal only."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from sc_mamba2.training.loop import OnStep

_log = logging.getLogger(__name__)
_open: list[Progress] = []  # a terminal shows one set of bars at a time


class _Left(TimeRemainingColumn):
    """The remaining time, or the elapsed time of a run, whose steps differ in length."""

    def render(self, task: Task) -> Text:
        if task.fields["steady"]:
            return super().render(task)
        return Text(f"{task.elapsed or 0:.0f} s so far", style="progress.elapsed")


@contextmanager
def bars() -> Iterator[Progress]:
    """Yield the open set of bars, or open one."""
    if _open:
        yield _open[0]
        return
    console = Console(stderr=True)
    text = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[at]}")
    # No bars if even warnings are silenced.
    shown = console.is_terminal and _log.isEnabledFor(logging.WARNING)
    with Progress(*text, _Left(), console=console, disable=not shown, transient=True) as progress:
        _open.append(progress)
        try:
            yield progress
        finally:
            _open.clear()


@contextmanager
def training_progress(
    title: str, epochs: int | None = None, unit: str = "step"
) -> Iterator[OnStep]:
    """Show a progress bar over steps, and yield the function that updates it.

    Parameters
    ----------
    title
        Name of the work.
    epochs
        Maximum number of epochs to show; ``None`` to show steps.
    unit
        Name of a step.
    """
    with bars() as progress:
        task = progress.add_task(title, total=None, at="", steady=True)

        def on_step(step: int, steps: int) -> None:
            at = f"{unit} {step:,} of {steps:,}"
            if epochs is not None:
                at = f"epoch {1 + (step - 1) * epochs // steps} of at most {epochs}"
            progress.update(task, completed=step, total=steps, at=at)

        try:
            yield on_step
        finally:
            progress.remove_task(task)
