"""A small pretrained model in double precision, tokens for it, and simulated cells with their scores."""

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData
from scipy import sparse
from tests.checkpoints import write_random_checkpoint

from sc_mamba2.cells import simulate_cells, standardise
from sc_mamba2.genes import Vocabulary, load_gene_table
from sc_mamba2.model import Backbone, Heads, PretrainedModel, preset
from sc_mamba2.tasks.gene_network.genes import Choice, prepare
from sc_mamba2.tasks.gene_network.params import GeneParams, ReferenceParams, ScoreParams
from sc_mamba2.tasks.shared.params import IngestionParams
from sc_mamba2.tokens import TokenizedCells, Tokenizer, TokenizerRules
from sc_mamba2.training import ComputeOptions

GENES = 8


@pytest.fixture(scope="module")
def model() -> PretrainedModel:
    torch.manual_seed(0)
    names = tuple(f"ENSG{at:011d}" for at in range(GENES))
    vocabulary = Vocabulary("small", ("<pad>", "<cls>", *names), ("<pad>", "<cls>", *names))
    config = preset("micro", vocabulary.size, pad_id=0, n_bins=11, dropout=0.0)
    tokenizer = Tokenizer(vocabulary, TokenizerRules(n_bins=11, max_length=64))
    return PretrainedModel(Backbone(config), tokenizer, Heads()).double().eval()


@pytest.fixture(scope="module")
def tokens(model) -> TokenizedCells:
    generator = np.random.default_rng(0)
    matrix = generator.gamma(1, 1, (9, GENES)) * (generator.random((9, GENES)) < 0.6)
    matrix[:, 7] = 0
    ids = np.array(model.tokenizer.vocabulary.ids[2:])
    return model.tokenizer.tokenize(sparse.csr_matrix(matrix), ids, pd.DataFrame(index=range(9)))


@pytest.fixture(scope="session")
def cells() -> AnnData:
    """Valid cells of 60 genes."""
    return standardise(simulate_cells(60, 60), load_gene_table())[0]


@pytest.fixture(scope="session")
def scoring(tmp_path_factory) -> ScoreParams:
    folder = write_random_checkpoint(tmp_path_factory.mktemp("pretrained") / "model", 60, seed=3)
    return ScoreParams(checkpoint=str(folder), cells=30, cells_a_regulator=5)


@pytest.fixture(scope="session")
def prepared(cells, scoring) -> tuple[PretrainedModel, pd.DataFrame, Choice]:
    """Four regulators by twelve targets."""
    genes = GeneParams(regulators=",".join(cells.var_names[[3, 9, 20, 41]]), targets=12)
    return prepare(cells, scoring, ReferenceParams(), genes, IngestionParams(), ComputeOptions())
