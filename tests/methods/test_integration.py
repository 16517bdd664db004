"""Simple embeddings: what they read, that chance has no part in them, what they reach."""

import anndata as ad
import numpy as np
import pytest
import scanpy as sc

from sc_mamba2.cells.simulate import simulate_cells
from sc_mamba2.methods import integration
from sc_mamba2.methods.integration import (
    harmony_embedding,
    integration_baselines,
    pca_embedding,
    scvi_embedding,
    variable_genes,
)
from sc_mamba2.metrics.groups import group_codes
from sc_mamba2.metrics.integration import integration_scores
from sc_mamba2.metrics.mixing import asw_batch


@pytest.fixture(autouse=True)
def _without_scvi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integration, "find_spec", lambda name: None)


def _cells(cells: int = 200) -> ad.AnnData:
    """Give log-normalised cells; the second batch counts forty genes four times too often."""
    simulated = simulate_cells(cells)
    counts = simulated.X.toarray()
    counts[np.ix_(simulated.obs["batch"] == "second", np.arange(40))] *= 4
    simulated.X = type(simulated.X)(counts)
    simulated.layers["counts"] = simulated.X.copy()
    sc.pp.normalize_total(simulated, target_sum=1e4)
    sc.pp.log1p(simulated)
    return simulated


def _codes(cells: ad.AnnData) -> np.ndarray:
    return group_codes(cells.obs["batch"])


def test_what_comes_out():
    cells = _cells()
    given = (cells.X, cells.layers["counts"], _codes(cells))
    first = integration_baselines(*given, genes=100, components=10)
    again = integration_baselines(*given, genes=100, components=10)
    assert list(first) == ["pca", "harmony"]
    for name, embedding in first.items():
        assert embedding.shape == (200, 10) and embedding.dtype == np.float32
        assert np.isfinite(embedding).all() and (embedding == again[name]).all()


def test_pca_is_that_of_centred_values():
    cells = _cells(60)
    values = cells.X.toarray() - cells.X.toarray().mean(axis=0)
    sizes = np.linalg.svd(values, compute_uv=False)[:5]
    assert np.linalg.norm(pca_embedding(cells.X, 5), axis=0) == pytest.approx(sizes, rel=1e-3)


def test_harmony_mixes_the_batches_and_keeps_the_types():
    cells = _cells()
    found = integration_baselines(cells.X, None, _codes(cells), components=10)
    labels, batches = cells.obs["cell_type"], cells.obs["batch"]
    pca, harmony = (asw_batch(found[name], labels, batches) for name in ("pca", "harmony"))
    assert 1 - harmony < (1 - pca) / 2  # of what tells the batches apart, less than half is left
    kept = integration_scores(found["harmony"], labels, batches, extras=False)
    assert kept["nmi"] > 0.9


@pytest.mark.parametrize("batches", [None, np.zeros(200, int)])
def test_without_batches_nothing_is_corrected(batches):
    assert list(integration_baselines(_cells().X, None, batches)) == ["pca"]


@pytest.mark.parametrize("count", [2, 7, 40])
def test_few_cells(count):
    cells = _cells()[:count]
    found = integration_baselines(cells.X, None, np.arange(count) % 2)
    assert ("harmony" in found) == (count == 40)
    for embedding in found.values():
        assert embedding.shape == (count, min(30, count - 1)) and np.isfinite(embedding).all()


def test_harmony_does_not_mind_how_batches_are_numbered():
    cells = _cells()
    pca, codes = pca_embedding(cells.X, 5), _codes(cells)
    assert harmony_embedding(pca, codes) == pytest.approx(harmony_embedding(pca, codes * 7 + 2))


def test_variable_genes_are_expressed_and_those_within_batches_do_not_tell_batches_apart():
    cells = _cells(400)
    cells.X[:, 50] = 0
    cells.X.eliminate_zeros()
    codes = _codes(cells)
    assert 50 not in variable_genes(cells.X, 200)
    shifted = np.arange(40)
    plain, within = (variable_genes(cells.X, 60, by) for by in (None, codes))
    assert len(plain) == len(within) == 60
    assert np.isin(shifted, within).sum() < np.isin(shifted, plain).sum()


def test_scvi_where_it_is_installed(monkeypatch):
    scvi = pytest.importorskip("scvi", reason="needs the extra `scvi`: make test-extras")
    train = scvi.model.SCVI.train
    monkeypatch.setattr(
        scvi.model.SCVI, "train", lambda self, **options: train(self, max_epochs=2, **options)
    )
    counts, codes = _cells().layers["counts"], np.arange(200) % 2
    first = scvi_embedding(counts, codes, 5)
    assert first.shape == (200, 5) and first.dtype == np.float32
    assert (first == scvi_embedding(counts, codes, 5)).all()


@pytest.mark.parametrize(
    ("study", "pca", "harmony"),
    [
        ("sc_mixology_celllines", (0.691, 0.829), (0.766, 0.953)),
        pytest.param("kang_ifnb_pbmc", (0.559, 0.766), (0.626, 0.911), marks=pytest.mark.slow),
    ],
)
def test_figures_of_real_studies(shared_data, study, pca, harmony):
    """Hold AvgBIO and the batch's silhouette to figures that were taken with other code."""
    cells = ad.read_h5ad(shared_data / f"{study}.h5ad")
    if "n_batches_measured" in cells.var:
        cells = cells[:, cells.var["n_batches_measured"] == 5].copy()
    sc.pp.normalize_total(cells, target_sum=1e4)
    sc.pp.log1p(cells)
    labels, batches = cells.obs["cell_type"], cells.obs["batch"]
    found = integration_baselines(cells.X, None, group_codes(batches))
    for name, expected in (("pca", pca), ("harmony", harmony)):
        scores = integration_scores(found[name], labels, batches, extras=False)
        assert (scores["avg_bio"], scores["asw_batch"]) == pytest.approx(expected, abs=0.015)
