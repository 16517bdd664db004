"""The Kedro hook that shows the current step of a run."""

from contextlib import ExitStack

from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from rich.progress import Progress, TaskID

from sc_mamba2.tasks.shared.progress import bars


class StepsHook:
    """Shows a progress bar over the nodes of a run, on a terminal."""

    def __init__(self) -> None:
        self._shown = ExitStack()
        self._bars: Progress | None = None
        self._task = TaskID(0)

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline) -> None:
        """Open the bar."""
        self._bars = self._shown.enter_context(bars())
        self._task = self._bars.add_task("", total=len(pipeline.nodes), at="", steady=False)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Show the name of the node about to run."""
        if self._bars is not None:
            task = self._bars.tasks[self._bars.task_ids.index(self._task)]
            words = node.short_name.replace("_", " ")
            at = f"step {int(task.completed) + 1} of {int(task.total or 0)}"
            self._bars.update(self._task, description=words, at=at)

    @hook_impl
    def after_node_run(self) -> None:
        """Advance the bar."""
        if self._bars is not None:
            self._bars.advance(self._task)

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Close the bar."""
        self._close()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Close the bar."""
        self._close()

    def _close(self) -> None:
        self._bars = None
        self._shown.close()
