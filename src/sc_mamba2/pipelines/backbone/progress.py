"""A progress bar for trainings, on a terminal only."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from sc_mamba2.training.loop import OnStep


@contextmanager
def training_progress(epochs: int) -> Iterator[OnStep]:
    """Show a bar over the steps of a training; give the callable that moves it."""
    console = Console(stderr=True)
    columns = (
        TextColumn("fine-tuning"),
        BarColumn(),
        TextColumn("{task.fields[at]}"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, disable=not console.is_terminal, transient=True
    ) as bar:
        task = bar.add_task("fit", total=None, at="")

        def on_step(step: int, steps: int) -> None:
            epoch = 1 + (step - 1) * epochs // steps
            bar.update(task, completed=step, total=steps, at=f"epoch {epoch} of at most {epochs}")

        yield on_step
