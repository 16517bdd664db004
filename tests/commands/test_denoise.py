"""`scm denoise` in process: what is written, and what is refused."""

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from tests.cli import entered, refused

from sc_mamba2.cells import simulate_cells

QUICK = (
    "--params",
    "denoising.priors.neighbours=[5,15],denoising.priors.kappa=[2],denoising.priors.ranks=[3],"
    "denoising.priors.components=5,denoising.split.cells=60",
)


@pytest.fixture(scope="module")
def cells(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("denoise") / "cells.h5ad"
    written = simulate_cells(90)
    written.obsm["X_own"] = np.ones((90, 2))
    written.write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def done(cells) -> Path:
    output = cells.with_name("out.h5ad")
    text = entered("denoise", cells, "-o", output, *QUICK).output
    assert "nats" in text and "report.html" in text
    return output


def test_the_layer_the_facts_the_report_and_the_pictures_are_written(cells, done):
    before, after = ad.read_h5ad(cells), ad.read_h5ad(done)
    layer = after.layers["scm_denoised"]
    assert layer.dtype == np.float32 and layer.sum(axis=1) == pytest.approx(1e4, rel=1e-4)
    assert (after.X != before.X).nnz == 0 and "X_own" in after.obsm
    assert list(after.var_names) == list(before.var_names) and after.var["scm_denoised"].all()
    facts = after.uns["scm"]
    folder = done.with_suffix(".scm")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert facts["nats"] == metrics["model"]["nats"] and facts["prior"] == "neighbours"
    assert facts["phi"] > 0 and facts["neighbours"] in (5, 15)
    assert sorted(path.name for path in (folder / "figures").iterdir()) == [
        "01_nats.png",
        "02_calibration.png",
    ]
    assert "predict held-out molecules better than" in (folder / "report.html").read_text()


@pytest.mark.slow
def test_named_genes_are_a_table_with_the_values_of_the_layer(cells, done, tmp_path):
    whole = ad.read_h5ad(done)
    first, second = whole.var["symbol"].iloc[5], whole.var_names[3]
    (tmp_path / "genes.txt").write_text(f"{first}\n{second}\n")
    output = tmp_path / "out.h5ad"
    entered("denoise", cells, "-o", output, "--genes", tmp_path / "genes.txt", *QUICK)
    table = ad.read_h5ad(output).obsm["scm_denoised"]
    assert list(table.columns) == [first, second]
    assert table.to_numpy() == pytest.approx(whole.layers["scm_denoised"][:, [5, 3]], rel=1e-5)


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("--genes", "NOSUCHGENE"), "gene-unknown"),
        (("--genes", "nowhere.txt"), "genes-file"),
        pytest.param(
            ("--params", "denoising.output.most_values=100"), "denoise-size", marks=pytest.mark.slow
        ),
        (("--params", "denoising.split.share=1"), "parameter-invalid"),
    ],
)
@pytest.mark.parametrize("dry", [(), pytest.param(("--dry-run",), marks=pytest.mark.slow)])
def test_what_cannot_be_denoised_is_refused(cells, tmp_path, words, rule, dry):
    out = tmp_path / "out.h5ad"
    refused("denoise", cells, "-o", out, *words, *dry, rule=rule, folder=tmp_path)


def test_cells_without_whole_counts_are_refused(tmp_path):
    logs = simulate_cells(30)
    logs.X = logs.X.multiply(1e4 / logs.X.sum(axis=1)).log1p().tocsr()
    logs.write_h5ad(tmp_path / "logs.h5ad")
    words = ("denoise", tmp_path / "logs.h5ad", "-o", tmp_path / "out.h5ad")
    assert "--layer" in refused(*words, rule="denoise-counts", folder=tmp_path)
