from pathlib import Path

import pytest
import yaml

import sc_mamba2
from sc_mamba2.commands import app
from sc_mamba2.pipelines.registry import named_pipelines
from sc_mamba2.tasks.table import TASKS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.pipeline)
def test_every_task_has_a_pipeline_a_verb_a_tool_a_stage_and_a_page(task):
    assert task.pipeline in named_pipelines()
    assert task.verb in {command.callback.__name__ for command in app.registered_commands}
    assert callable(getattr(sc_mamba2.tl, task.verb))
    assert task.pipeline in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert (ROOT / "docs" / f"{task.pipeline}.md").is_file()
    contract = (ROOT / "docs" / "data-contract.md").read_text()
    for key in task.writes:
        place, name = key.split("/")
        assert f'{place}["{name}"]' in contract, key
