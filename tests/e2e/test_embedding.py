"""The embedding as a pipeline of the project, and that the verb writes the same."""

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from tests.checkpoints import write_random_checkpoint
from typer.testing import CliRunner

from sc_mamba2.cells import simulate_cells
from sc_mamba2.commands import app
from sc_mamba2.runs.selection import Selection
from sc_mamba2.runs.session import run_in_folder

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return write_random_checkpoint(tmp_path_factory.mktemp("model") / "checkpoint")


def test_the_pipeline_runs_in_the_project_under_the_test_environment(
    checkpoint, tmp_path, monkeypatch
):
    monkeypatch.chdir(ROOT)
    options = f"embedding.options.checkpoint={checkpoint}"
    blocks = f"embedding.source.blocks={tmp_path / 'blocks'}"
    words = ["run", "--pipeline", "embedding", "--env", "test", "--params", f"{options},{blocks}"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "pca" in result.output
    metrics = json.loads((ROOT / "data/08_reporting/embedding/metrics.json").read_text())
    assert metrics["data"]["label_classes"] == 3 and metrics["data"]["batch_classes"] == 2


def test_verb_and_pipeline_write_the_same(checkpoint, tmp_path):
    simulate_cells(30).write_h5ad(tmp_path / "cells.h5ad")
    options = {"checkpoint": str(checkpoint)}
    params = {
        "input": str(tmp_path / "cells.h5ad"),
        "embedding": {"options": options, "source": {"blocks": str(tmp_path / "blocks")}},
    }
    folder = tmp_path / "run"
    folder.mkdir()
    run = run_in_folder(Selection(pipelines=("embedding",), params=params), folder)
    words = ["embed", tmp_path / "cells.h5ad", "-c", checkpoint, "-o", tmp_path / "out.h5ad"]
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == 0, result.output
    one, other = (
        ad.read_h5ad(path) for path in (run.written["embedding.embedded"], tmp_path / "out.h5ad")
    )
    assert np.array_equal(one.obsm["X_scm"], other.obsm["X_scm"])
    assert list(one.obs) == list(other.obs)
    for name in ("checkpoint_sha256", "vocabulary_sha256", "expression", "genes_matched"):
        assert one.uns["scm"][name] == other.uns["scm"][name]
