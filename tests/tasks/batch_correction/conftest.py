"""Simulated cells whose second batch counts forty genes four times too often, and a model for them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from sc_mamba2.cells import simulate_cells, standardise
from sc_mamba2.genes import load_gene_table
from sc_mamba2.tasks.batch_correction.candidates import Candidates, combine
from sc_mamba2.tasks.batch_correction.fit import new_model, prepare, separate_truth
from sc_mamba2.tasks.batch_correction.model import BatchCorrectionModel
from sc_mamba2.tasks.batch_correction.params import (
    AblationParams,
    CandidateParams,
    HeadParams,
    KeyParams,
    LossParams,
)
from sc_mamba2.tasks.shared.backbone import load_or_build_backbone, predict
from sc_mamba2.tasks.shared.batches import read_batches
from sc_mamba2.tasks.shared.params import BackboneParams, PredictParams, TokenizationParams
from sc_mamba2.tasks.shared.tokenization import fit_tokenizer, tokenize_cells
from sc_mamba2.tokens import TokenizedCells, Tokenizer
from sc_mamba2.training import ComputeOptions

KEYS = KeyParams(batch_key="batch", label_key="cell_type")


def cells_with_a_shift(cells: int = 120, genes: int = 100) -> AnnData:
    """Simulate cells as a person would give them."""
    simulated = simulate_cells(cells, genes)
    counts = simulated.X.toarray()
    counts[np.ix_(simulated.obs["batch"] == "second", np.arange(40))] *= 4
    simulated.X = sparse.csr_matrix(counts)
    return simulated


@dataclass(frozen=True)
class Parts:
    """What stands before the head: the cells, and what is made of them."""

    valid: AnnData
    truth: pd.DataFrame
    tokenizer: Tokenizer
    tokens: TokenizedCells

    def model(self, objective: dict[str, Any] | None = None, **head: Any) -> BatchCorrectionModel:
        """Return an untrained model with a network of width 8."""
        compute = ComputeOptions()
        params = HeadParams(**{"fit": "gradient", "width": 8, "paths": ("trunk", "pooled")} | head)
        backbone = load_or_build_backbone(self.tokenizer, self.tokens, BackboneParams(), compute)
        parts = (backbone, self.tokenizer, self.tokens, params, LossParams(**objective or {}))
        return new_model(*parts, KEYS.batch_key, compute.seed)


@dataclass(frozen=True)
class Joined:
    """The default's model, the tokens that it was fitted to, and what it was made of."""

    model: BatchCorrectionModel
    tokens: TokenizedCells
    candidates: Candidates
    embedding: np.ndarray


@pytest.fixture(scope="session")
def joined(parts) -> Joined:
    given = KEYS, TokenizationParams(), BackboneParams(), HeadParams(), LossParams()
    compute = ComputeOptions()
    untrained, tokens, *_ = prepare(parts.valid, *given, AblationParams(), compute)
    options = CandidateParams(components=8, width=6), PredictParams()
    model, candidates = combine(parts.valid, tokens, untrained, *options, compute)
    embedding = predict(model, tokens, PredictParams(), compute)["embedding"]
    return Joined(model, tokens, candidates, embedding)


@pytest.fixture(scope="session")
def parts() -> Parts:
    valid, _ = standardise(cells_with_a_shift(), load_gene_table())
    cells, truth = separate_truth(valid, read_batches(valid.obs, KEYS.batch_key), KEYS)
    tokenizer = fit_tokenizer(cells, cells, TokenizationParams(), batch_key="batch")
    return Parts(valid, truth, tokenizer, tokenize_cells(cells, tokenizer))
