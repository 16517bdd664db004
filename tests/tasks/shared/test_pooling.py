"""The readouts of a cell: what each is, and that pads and neighbours have no part in it."""

import numpy as np
import pandas as pd
import pytest
import torch
from tests.checkpoints import random_backbone, simulated_vocabulary

from sc_mamba2.cells import simulate_cells, standardise
from sc_mamba2.genes import load_gene_table
from sc_mamba2.tasks.shared.params import EncodeParams
from sc_mamba2.tasks.shared.pooling import pool_cells
from sc_mamba2.tokens import TokenizedCells, Tokenizer, TokenizerRules, make_batch


@pytest.fixture(scope="module")
def vocabulary():
    return simulated_vocabulary()


@pytest.fixture(scope="module")
def tokens(vocabulary) -> TokenizedCells:
    cells, _ = standardise(simulate_cells(6), load_gene_table())
    cells.X[2] = 0  # a cell without any gene
    obs = pd.DataFrame(index=cells.obs_names)
    return Tokenizer(vocabulary, TokenizerRules()).tokenize(
        cells.X, cells.var_names.to_numpy(), obs
    )


@pytest.fixture(scope="module")
def backbone(vocabulary):
    return random_backbone(vocabulary).double().eval()


def pool(backbone, tokens, vocabulary, *readouts: str) -> np.ndarray:
    batch = make_batch(tokens, np.arange(len(tokens)), vocabulary)
    with torch.no_grad():
        return pool_cells(backbone, batch, readouts).numpy()


def test_each_readout_is_what_it_says(backbone, tokens, vocabulary):
    table = backbone.gene_embedding.weight.detach().numpy()
    for cell in range(len(tokens)):
        lone = tokens.take([cell])
        batch = make_batch(lone, np.arange(1), vocabulary)
        with torch.no_grad():
            hidden = backbone(batch.token_ids_BL, batch.bins_BL, batch.lengths_B)[0].numpy()
        expected = {
            "cls": hidden[0],
            "mean": hidden[1:].mean(axis=0) if len(hidden) > 1 else np.zeros(len(hidden[0])),
            "pooled": lone.values @ table[lone.gene_rows],
        }
        for name, vector in expected.items():
            found = pool(backbone, tokens, vocabulary, name)[cell]
            np.testing.assert_allclose(found, vector, rtol=1e-9, atol=1e-10, err_msg=name)


def test_several_stand_side_by_side_each_scaled_within_its_cell(backbone, tokens, vocabulary):
    found = pool(backbone, tokens, vocabulary, "pooled", "cls")
    alone = pool(backbone, tokens, vocabulary, "pooled")
    width = alone.shape[1]
    assert found.shape == (len(tokens), 2 * width)
    full = tokens.lengths > 0
    np.testing.assert_allclose(found[full, width:].std(axis=1), 1, rtol=1e-3)
    centred = alone[full] - alone[full].mean(axis=1, keepdims=True)
    scaled = centred / np.sqrt(alone[full].var(axis=1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(found[full, :width], scaled, rtol=1e-9)
    assert np.isfinite(found).all()


def test_no_readout_and_one_twice_are_refused():
    for names in ((), ("cls", "cls"), ("max",)):
        with pytest.raises(ValueError, match="pooling"):
            EncodeParams(pooling=names)
