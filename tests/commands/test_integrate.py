"""`scm integrate` in process: what is written, that the checkpoint repeats it, what is refused."""

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from tests import cli
from tests.tasks.batch_correction.conftest import cells_with_a_shift

from sc_mamba2.methods.integration import RECIPES

QUICK = (
    "--params",
    "batch_correction.candidates.width=8,batch_correction.candidates.components=8",
)


def scm(*words: object) -> str:
    return cli.entered(*words).output


def refused(folder: Path, *words: object) -> str:
    return cli.refused("integrate", *words, folder=folder)


@pytest.fixture(scope="module")
def cells(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("integrate")
    written = cells_with_a_shift()
    written.obsm["X_pca"] = np.ones((written.n_obs, 2))
    written.obs["one"] = "same"
    written.obs["holes"] = written.obs["batch"].astype(object).where(np.arange(120) > 3)
    written.obs["lone"] = ["odd" if n == 5 else "rest" for n in range(120)]
    written.obs["own"] = np.where(written.obs["cell_type"] == "alpha", "x", "y")
    written.write_h5ad(folder / "cells.h5ad")
    return folder / "cells.h5ad"


@pytest.fixture(scope="module")
def integrated(cells) -> Path:
    output = cells.with_name("out.h5ad")
    words = ("-b", "batch", "-k", "cell_type", "--expression", "--keep-candidates", *QUICK)
    text = scm("integrate", cells, "-o", output, *words)
    assert "harmony" in text and "report.html" in text
    return output


def test_the_cells_come_back_as_they_were_with_the_embedding(cells, integrated):
    before, after = ad.read_h5ad(cells), ad.read_h5ad(integrated)
    assert (before.X != after.X).nnz == 0 and after.obs.equals(before.obs)
    kept = {f"X_scm_corrected_{name}" for name in ("pca", *RECIPES)}
    assert set(after.obsm) - {"X_scm_corrected_scvi"} == {"X_pca", "X_scm_corrected"} | kept
    embedding = after.obsm["X_scm_corrected"]
    assert embedding.shape == (120, 8) and embedding.dtype == np.float32
    assert np.isfinite(embedding).all()
    facts = after.uns["scm"]
    assert facts["batch_key"] == "batch" and list(facts["batches"]) == ["first", "second"]
    assert set(facts["weights"]) == set(RECIPES)
    assert sum(facts["weights"].values()) == pytest.approx(1)


def test_the_corrected_expression_lies_where_the_genes_are(integrated):
    after = ad.read_h5ad(integrated)
    layer, decoded = after.layers["scm_corrected"], after.var["scm_corrected"].to_numpy()
    assert layer.shape == after.shape and layer.data.min() >= 0
    assert np.diff(layer.tocsc().indptr)[~decoded].sum() == 0 and decoded.sum() > 80
    values = after.X.toarray()
    values = np.log1p(1e4 * values / values.sum(axis=1, keepdims=True))
    alike = np.corrcoef(layer.toarray()[:, decoded].ravel(), values[:, decoded].ravel())[0, 1]
    assert alike > 0.5


def test_metrics_figures_and_report_stand_beside_it(integrated):
    folder = integrated.with_suffix(".scm")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics) == {"model", "baselines", "ablations", "data", "run", "summary"}
    assert set(metrics["baselines"]) >= {"pca", "harmony"}
    assert {"avg_bio", "asw_batch", "graph_connectivity", "batch_mixing"} <= set(metrics["model"])
    assert {"clusters_kept", "clusters_mixed", "inner"} <= set(metrics["model"])
    assert len(list((folder / "figures").glob("*.png"))) == 2
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2 and "harmony" in page


def test_the_checkpoint_gives_the_same_embedding_without_training(cells, integrated):
    again = cells.with_name("again.h5ad")
    checkpoint = integrated.with_suffix(".scm") / "checkpoint"
    scm("integrate", cells, "-c", checkpoint, "-o", again)
    first, second = (ad.read_h5ad(path).obsm["X_scm_corrected"] for path in (integrated, again))
    assert (first == second).all()
    metrics = json.loads((again.with_suffix(".scm") / "metrics.json").read_text())
    assert metrics["ablations"] == {} and "avg_bio" not in metrics["model"]
    assert 0 < metrics["model"]["batch_mixing"] < 1.2


def test_a_dry_run_of_a_checkpoint_tells_the_prediction(cells, integrated, tmp_path):
    checkpoint = integrated.with_suffix(".scm") / "checkpoint"
    words = (cells, "-c", checkpoint, "-o", tmp_path / "out.h5ad", "--dry-run", "--json")
    work = json.loads(scm("integrate", *words))["work"]
    assert work["name"] == "prediction" and work["tokens"]["cells"]["cells"] == 120
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_one_cell_of_a_known_batch_gets_what_it_got_among_all(cells, integrated, tmp_path):
    one = ad.read_h5ad(cells)[[17]].copy()
    one.write_h5ad(tmp_path / "one.h5ad")
    checkpoint = integrated.with_suffix(".scm") / "checkpoint"
    scm("integrate", tmp_path / "one.h5ad", "-c", checkpoint, "-o", tmp_path / "out.h5ad")
    found = ad.read_h5ad(tmp_path / "out.h5ad").obsm["X_scm_corrected"][0]
    expected = ad.read_h5ad(integrated).obsm["X_scm_corrected"][17]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        ("bach", "batch-missing"),
        ("one", "batch-one"),
        pytest.param("holes", "batch-incomplete", marks=pytest.mark.slow),
        pytest.param("lone", "batch-small", marks=pytest.mark.slow),
    ],
)
def test_batches_that_cannot_be_corrected_are_refused(cells, tmp_path, key, rule):
    text = refused(tmp_path, cells, "-b", key, "-o", tmp_path / "out.h5ad")
    assert f"Error ({rule})" in text


@pytest.mark.slow
def test_a_batch_that_the_checkpoint_does_not_know_is_refused(cells, integrated, tmp_path):
    strange = ad.read_h5ad(cells)
    strange.obs["batch"] = ["new"] * strange.n_obs
    strange.write_h5ad(tmp_path / "strange.h5ad")
    checkpoint = integrated.with_suffix(".scm") / "checkpoint"
    words = (tmp_path / "strange.h5ad", "-c", checkpoint, "-o", tmp_path / "out.h5ad")
    text = refused(tmp_path, *words)
    assert "Error (batch-unknown)" in text and "'new'" in text


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--checkpoint", "folder", "--batch-key", "batch"),
        ("--checkpoint", "folder", "--start", "other"),
        ("--checkpoint", "folder", "--max-length", "100"),
        ("--checkpoint", "folder", "--keep-candidates"),
    ],
)
def test_contradictions_are_refused(cells, tmp_path, words):
    text = refused(tmp_path, cells, "-o", tmp_path / "out.h5ad", *words)
    assert "Error (options)" in text
