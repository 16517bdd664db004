"""Which step of a run is under way: one set of bars, closed whatever happens."""

import io

import pytest
from kedro.pipeline import Pipeline, node
from rich.console import Console

from sc_mamba2.runs.steps import StepsHook
from sc_mamba2.tasks.shared import progress

NODES = [node(abs, "a", "b", name="first_step"), node(abs, "b", "c", name="second")]


@pytest.fixture
def drawn(monkeypatch):
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100)
    monkeypatch.setattr(progress, "Console", lambda stderr: console)
    return file


@pytest.mark.parametrize("end", ["after_pipeline_run", "on_pipeline_error"])
def test_steps_are_named_and_a_training_stands_below(drawn, end):
    hook, pipeline = StepsHook(), Pipeline(NODES)
    hook.before_pipeline_run(pipeline)
    hook.before_node_run(NODES[0])
    with progress.training_progress("fine-tuning", epochs=2) as on_step, progress.bars() as shown:
        on_step(1, 4)
        assert [task.description for task in shown.tasks] == ["first step", "fine-tuning"]
        assert shown.tasks[0].fields["at"] == "step 1 of 2"
    hook.after_node_run()
    hook.before_node_run(NODES[1])
    with progress.bars() as shown:
        assert [task.description for task in shown.tasks] == ["second"]
        assert shown.tasks[0].fields["at"] == "step 2 of 2"
    getattr(hook, end)()
    assert not progress._open
    assert "first step" in drawn.getvalue() and "so far" in drawn.getvalue()


def test_a_node_without_a_run_shows_nothing(drawn):
    hook = StepsHook()
    hook.before_node_run(NODES[0])
    hook.after_node_run()
    assert not drawn.getvalue()
