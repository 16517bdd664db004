"""`scm denoise` on real blood cells: more than the gene means, and as many molecules as it expects."""

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from tests.cli import entered

FEW = (
    "--params",
    "denoising.priors.neighbours=[30,60],denoising.priors.kappa=[2],denoising.priors.phi=[1,2,5],"
    "denoising.priors.ranks=[10],denoising.split.cells=100",
)


@pytest.mark.slow
def test_blood_cells_gain_by_their_own_counts_their_neighbours_and_what_was_learnt_before(
    shared_data: Path, tmp_path: Path
):
    ad.read_h5ad(shared_data / "kang_ifnb_pbmc.h5ad")[::10].copy().write_h5ad(
        tmp_path / "cells.h5ad"
    )
    entered("denoise", tmp_path / "cells.h5ad", "-o", tmp_path / "out.h5ad", *FEW)
    metrics = json.loads((tmp_path / "out.scm" / "metrics.json").read_text())
    gains = metrics["data"]["gains"]
    assert metrics["data"]["chosen"]["prior"] == "pretrained"
    assert gains["gene_means"]["nats"] > 0.25
    for gain in gains.values():
        assert gain["nats"] > 2 * gain["error"] > 0
    cells = ad.read_h5ad(tmp_path / "out.h5ad")
    assert cells.uns["scm"]["checkpoint"] == "scm-counts"
    assert cells.uns["scm"]["checkpoint_sha256"] == metrics["run"]["checkpoint_sha256"]
    known = cells.var["scm_denoised"].to_numpy()
    layer = cells.layers["scm_denoised"]
    assert np.isnan(layer[:, ~known]).all() and 0 < (~known).sum() < known.sum()
    assert layer[:, known].sum(axis=1) == pytest.approx(1e4, rel=1e-3)
