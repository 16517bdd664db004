"""A run that is killed before any of its nodes ends as one that was not, with what is missing alone."""

import hashlib
import json
import os
import shutil
import signal
from pathlib import Path

import pandas as pd
import pytest
from tests.cli import invoke
from tests.zygote import say

from sc_mamba2.runs.new_project import new_project

RUN = ("run", "--pipeline", "annotation", "--env", "test")
OUTPUT = Path("data/test/07_model_output/annotation")
MODEL = Path("data/test/06_models/annotation/model.safetensors")
METRICS = Path("data/test/08_reporting/annotation/metrics.json")


def run(project: str, kill_at: int | None, missing: bool) -> int:
    """Run the pipeline in a project, or what is missing of it; die where a node would begin."""
    from kedro.pipeline.node import Node

    begun, own = [], Node.run

    def fatal(self, *arguments, **named):
        if len(begun) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        begun.append(self.name)
        return own(self, *arguments, **named)

    Node.run = fatal
    os.chdir(project)
    result = invoke(*RUN, *(["--only-missing-outputs"] if missing else []))
    say(begun)
    return result.exit_code


def outcome(project: Path) -> list:
    metrics = json.loads((project / METRICS).read_text())
    calls = [
        pd.read_parquet(project / OUTPUT / name) for name in ("calls.parquet", "embedding.parquet")
    ]
    weights = hashlib.sha256((project / MODEL).read_bytes()).hexdigest()
    scores = {part: metrics[part] for part in ("model", "baselines", "ablations")}
    return [weights, scores, *(table.to_json() for table in calls)]


@pytest.mark.slow
def test_killed_before_any_node(zygote, tmp_path, full, record_property):
    unbroken = new_project(tmp_path / "unbroken")
    code, (nodes,) = zygote.run(run, project=str(unbroken), kill_at=None, missing=False)
    assert code == 0 and len(nodes) > 5
    expected = outcome(unbroken)
    chosen = range(len(nodes)) if full else [len(nodes) // 2]
    record_property("tries", len(chosen))
    for at in chosen:
        project = new_project(tmp_path / str(at))
        code, _ = zygote.run(run, project=str(project), kill_at=at, missing=False)
        assert code == -signal.SIGKILL
        code, (again,) = zygote.run(run, project=str(project), kill_at=None, missing=True)
        assert code == 0
        assert not at or len(again) < len(nodes)
        assert outcome(project) == expected, nodes[at]
        shutil.rmtree(project)
