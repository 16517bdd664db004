"""`dvc.yaml` names what the catalog names, and git, DVC and the data folders agree on who keeps what."""

import configparser
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PARAMETERS = ROOT / "conf" / "base" / "parameters"
FILE: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))
STAGES: dict[str, dict[str, Any]] = FILE["stages"]


def test_the_stages_are_made_from_the_table_of_tasks():
    """`python docs/make/dvc_stages.py` writes them."""
    path = ROOT / "docs" / "make" / "dvc_stages.py"
    spec = importlib.util.spec_from_file_location("dvc_stages", path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert (ROOT / "dvc.yaml").read_text("utf-8") == made.stages_file()


def _paths(entries: list[str | dict[str, Any]]) -> list[str]:
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


@pytest.mark.parametrize("name", STAGES)
def test_git_is_told_of_every_folder_that_dvc_keeps(name: str):
    """Else DVC writes it into a .gitignore at the first run, and a clean clone is no longer clean."""
    written = [ROOT / path for path in STAGES[name]["outs"] + STAGES[name].get("plots", [])]
    for folder in [path for path in written if not path.suffix]:
        assert f"/{folder.name}" in (folder.parent / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("name", STAGES)
def test_what_a_stage_depends_on_is_there(name: str):
    made = {path for stage in STAGES.values() for path in _paths(stage["outs"])}
    assert all((ROOT / path).exists() or path in made for path in STAGES[name]["deps"])


def test_a_stage_that_reads_a_checkpoint_comes_after_the_one_that_writes_it():
    for stage in STAGES.values():
        read = re.search(r"checkpoint=([\w/]+)", stage["cmd"])
        assert read is None or read[1] in stage["deps"]


def test_every_history_is_plotted():
    histories = {
        path
        for stage in STAGES.values()
        for path in stage.get("plots", [])
        if path.endswith(".csv")
    }
    plotted = {path for plot in FILE["plots"] for facts in plot.values() for path in facts["y"]}
    assert plotted == histories and len(histories) > 2


def test_metrics_are_kept_so_that_experiments_can_be_compared():
    """git ignores data/: what DVC does not keep, `dvc exp show` and `dvc metrics diff` cannot see."""
    for stage in STAGES.values():
        for entry in [*stage["metrics"], *stage.get("plots", [])]:
            assert isinstance(entry, str), entry  # with no option, such as `cache: false`


def test_dvc_sends_and_stages_nothing():
    config = configparser.ConfigParser()
    config.read(ROOT / ".dvc" / "config")
    assert config["core"] == {"analytics": "false", "autostage": "false"}


def test_dvc_knows_the_file_as_valid():
    schema = pytest.importorskip("dvc.schema", reason="dvc comes with the development install")
    schema.COMPILED_MULTI_STAGE_SCHEMA(FILE)


@pytest.mark.slow
def test_dvc_knows_these_stages_and_no_others() -> None:
    """A folder below may hold a dvc.yaml of its own, as that of a new project does: it is left out."""
    pytest.importorskip("dvc")
    words = [sys.executable, "-m", "dvc", "stage", "list", "--all", "--name-only"]
    told = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.split() == list(STAGES)
