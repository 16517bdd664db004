"""The embedding as a pipeline of the project; that the verb writes the same: `test_python_api`."""

import json
from pathlib import Path

import pytest
from tests.checkpoints import write_random_checkpoint
from tests.cli import entered

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return write_random_checkpoint(tmp_path_factory.mktemp("model") / "checkpoint")


@pytest.mark.slow
def test_the_pipeline_runs_in_the_project_under_the_test_environment(
    checkpoint, tmp_path, monkeypatch
):
    monkeypatch.chdir(ROOT)
    options = f"embedding.options.checkpoint={checkpoint}"
    blocks = f"embedding.source.blocks={tmp_path / 'blocks'}"
    words = ["run", "--pipeline", "embedding", "--env", "test", "--params", f"{options},{blocks}"]
    assert "pca" in entered(*words).output
    metrics = json.loads((ROOT / "data/test/08_reporting/embedding/metrics.json").read_text())
    assert metrics["data"]["label_classes"] == 3 and metrics["data"]["batch_classes"] == 2
