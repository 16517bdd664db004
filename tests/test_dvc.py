"""`dvc.yaml` names what the catalog names, and git, DVC and the data folders agree on who keeps what."""

import configparser
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.config import OmegaConfigLoader

from sc_mamba2.pipelines.composite import named_pipelines
from sc_mamba2.runs.configuration import CONFIG_LOADER

ROOT = Path(__file__).parents[1]
STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]


@pytest.fixture(scope="module")
def catalog_paths() -> set[str]:
    catalog = OmegaConfigLoader(str(ROOT / "conf"), **CONFIG_LOADER)["catalog"]
    return {entry["filepath"] for entry in catalog.values() if entry.get("filepath")}


def _paths(entries: list[str | dict[str, Any]]) -> list[str]:
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def test_the_annotation_is_a_stage():
    assert "annotation" in STAGES


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_runs_the_pipeline_that_it_is_named_after(name: str):
    pattern = r"scm run --pipeline (\w+)(?: --input [\w:]+)?(?: --params [\w.=,/]+)? --quiet"
    command = re.fullmatch(pattern, STAGES[name]["cmd"])
    assert command and command[1] == name
    assert name in named_pipelines()


@pytest.mark.parametrize("name", STAGES)
def test_what_a_stage_writes_is_in_the_catalog(name: str, catalog_paths: set[str]):
    written = _paths(STAGES[name]["outs"]) + _paths(STAGES[name]["metrics"])
    assert written
    assert set(written) <= catalog_paths


@pytest.mark.parametrize("name", STAGES)
def test_what_a_stage_depends_on_is_there(name: str):
    made = {path for stage in STAGES.values() for path in _paths(stage["outs"])}
    assert all((ROOT / path).exists() or path in made for path in STAGES[name]["deps"])


def test_a_stage_that_reads_a_checkpoint_comes_after_the_one_that_writes_it():
    for stage in STAGES.values():
        read = re.search(r"checkpoint=([\w/]+)", stage["cmd"])
        assert read is None or read[1] in stage["deps"]


def test_metrics_are_not_cached():
    for stage in STAGES.values():
        assert all(entry[path] == {"cache": False} for entry in stage["metrics"] for path in entry)


def test_dvc_sends_and_stages_nothing():
    config = configparser.ConfigParser()
    config.read(ROOT / ".dvc" / "config")
    assert config["core"] == {"analytics": "false", "autostage": "false"}


def test_dvc_knows_the_file_as_valid():
    schema = pytest.importorskip("dvc.schema", reason="dvc comes with the development install")
    schema.COMPILED_MULTI_STAGE_SCHEMA({"stages": STAGES})
