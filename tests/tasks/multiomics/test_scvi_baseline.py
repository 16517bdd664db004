from importlib.util import find_spec

import numpy as np
import pytest
from tests.tasks.multiomics.conftest import COMPUTE

from sc_mamba2.cells.simulate_pairs import simulate_rna_protein
from sc_mamba2.tasks.multiomics import nodes, scvi_baseline
from sc_mamba2.tasks.multiomics.params import FeatureParams, KeyParams
from sc_mamba2.tasks.shared.params import IngestionParams, ValidationParams


@pytest.fixture(scope="module")
def cells():
    raw = simulate_rna_protein(120, 150)
    joint, _ = nodes.standardise(raw, FeatureParams(), IngestionParams(), ValidationParams())
    design, _ = nodes.lay_out_parts(joint, KeyParams(held_out_share=0.2), COMPUTE)
    return joint, list(joint.modalities["rna"].var_names), design


def test_the_counts_stand_beside_the_values(cells):
    joint, _, _ = cells
    rna = joint.modalities["rna"]
    assert (rna.layers["counts"] != 0).nnz == rna.X.nnz
    assert set(np.unique(rna.layers["counts"].data % 1)) == {0.0}


def test_there_is_none_where_it_cannot_run(cells, monkeypatch):
    joint, genes, design = cells
    monkeypatch.setattr(scvi_baseline, "find_spec", lambda name: None)
    assert scvi_baseline.totalvi_embedding(joint, genes, design, 0) is None


@pytest.mark.slow
@pytest.mark.skipif(find_spec("scvi") is None, reason="needs the extra `scvi`")
def test_it_embeds_every_cell(cells):
    joint, genes, design = cells
    found = scvi_baseline.totalvi_embedding(joint, genes, design, 0)
    assert found.shape == (120, 20) and np.isfinite(found).all()
