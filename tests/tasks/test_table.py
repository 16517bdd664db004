"""The table of tasks holds: what it names is there, and what should follow it does."""

import importlib
import inspect
from pathlib import Path

import pytest
import typer
import yaml

import sc_mamba2
from sc_mamba2.commands import app
from sc_mamba2.pipelines.registry import named_pipelines
from sc_mamba2.tasks.embedding.task import INDEX
from sc_mamba2.tasks.table import PRETRAIN, TASKS, changed_parameters

ROOT = Path(__file__).parents[2]
EACH = pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.pipeline)
PARAMETERS = {
    name: value
    for file in (ROOT / "conf" / "base" / "parameters").glob("*.yml")
    for name, value in yaml.safe_load(file.read_text()).items()
}


@EACH
def test_every_task_has_pipelines_a_verb_a_tool_a_stage_and_a_page(task):
    assert task.pipelines.keys() <= named_pipelines().keys()
    assert task.verb in typer.main.get_command(app).commands
    assert callable(getattr(sc_mamba2.tl, task.verb))
    assert task.pipeline in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert (ROOT / "docs" / f"{task.pipeline}.md").is_file()
    contract = (ROOT / "docs" / "data-contract.md").read_text()
    for key in task.writes:
        place, name = key.split("/")
        assert f'{place}["{name}"]' in contract, key


@pytest.mark.parametrize("task", [*TASKS.values(), INDEX, PRETRAIN], ids=lambda task: task.verb)
def test_an_option_sets_parameters_that_there_are_and_its_verb_has_it(task):
    known = typer.main.get_command(app).commands[task.verb].params
    assert {option.name for option in task.options} <= {parameter.name for parameter in known}
    for name in (name for option in task.options for name in option.sets.split()):
        value = PARAMETERS
        for part in name.split("."):
            if name not in ("input", "query", "index"):  # sources, which the catalog reads
                value = value[part]


@EACH
def test_a_tool_takes_the_options_of_the_table(task):
    arguments = inspect.signature(getattr(sc_mamba2.tl, task.verb)).parameters
    assert {option.tool for option in task.options if option.tool} <= arguments.keys()
    assert "options" not in arguments and {"params", "key_added", "copy"} <= arguments.keys()


def test_what_was_not_given_changes_nothing():
    options = TASKS["annotate"].options
    given = {"start": "scm-tiny", "seed": 0, "layer": None, "ablations": True, "query": "q.h5ad"}
    assert changed_parameters(options, given) == {
        "query": "q.h5ad",
        "annotation.backbone.checkpoint": "scm-tiny",
        "tokenization.vocabulary": "scm-tiny",
        "annotation.ablations.names": [
            "readout_alone",
            "pooled_alone",
            "trunk_alone",
            "trunk_frozen",
        ],
        "compute.seed": 0,
    }


@EACH
def test_ablations_that_can_be_asked_for_are_those_of_the_parameters(task):
    names = [option.on for option in task.options if option.name == "ablations"]
    if names and isinstance(names[0], list):  # of trained variants, not one that is there or not
        module = importlib.import_module(f"sc_mamba2.tasks.{task.pipeline}.params")
        assert list(module.AblationParams(names=names[0]).names) == names[0]
