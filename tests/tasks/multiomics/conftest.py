"""Simulated RNA and proteins, a third of the cells without proteins, and a model for them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sc_mamba2.cells.simulate_pairs import simulate_rna_protein
from sc_mamba2.model import Backbone
from sc_mamba2.tasks.multiomics import nodes
from sc_mamba2.tasks.multiomics.model import MultiomicsModel
from sc_mamba2.tasks.multiomics.params import (
    FeatureParams,
    HeadParams,
    ImputationParams,
    JointBackboneParams,
    KeyParams,
    LossParams,
)
from sc_mamba2.tasks.shared.backbone import load_or_build_backbone
from sc_mamba2.tasks.shared.params import IngestionParams, TokenizationParams, ValidationParams
from sc_mamba2.tokens import TokenizedCells, Tokenizer
from sc_mamba2.training import ComputeOptions

COMPUTE = ComputeOptions()
NEW = JointBackboneParams(checkpoint=None)
IMPUTATION = ImputationParams(strengths=(0.1, 1.0), curvatures=(0.4,), folds=3)


@dataclass(frozen=True)
class Parts:
    """What the nodes before the head make of the cells."""

    tokenizer: Tokenizer
    weights: np.ndarray
    twins: np.ndarray
    backbone: Backbone
    tokens: TokenizedCells
    training: TokenizedCells
    validation: TokenizedCells
    truth: pd.DataFrame
    keys: KeyParams

    def model(self, objective: dict[str, Any] | None = None, **head: Any) -> MultiomicsModel:
        """Return an untrained model of six components a modality."""
        params = HeadParams(**{"components": 6, "paths": ("trunk", "pooled")} | head)
        grown = (self.backbone, self.tokenizer, self.weights, self.twins, self.training, params)
        loss = LossParams(**objective or {})
        return nodes.attach_head(*grown, loss, FeatureParams(), self.keys, COMPUTE)


def make_parts(
    batch_key: str | None, lacking: float, checkpoint: JointBackboneParams = NEW
) -> Parts:
    """Run the nodes before the head; a share of the cells loses its proteins."""
    raw = simulate_rna_protein(120, 150)
    rows = np.random.default_rng(0).random(120) >= lacking
    raw["protein"] = raw["protein"][rows].copy()
    features, tokenization = FeatureParams(), TokenizationParams()
    keys = KeyParams(batch_key=batch_key, label_key="cell_type", held_out_share=0.2)
    cells, _ = nodes.standardise(raw, features, IngestionParams(), ValidationParams())
    design, truth = nodes.lay_out_parts(cells, keys, COMPUTE)
    found = nodes.fit_tokenizer(cells, design, tokenization, checkpoint, features)
    tokenizer, weights, trunk, twins = found
    tokens = nodes.tokenize(cells, design, tokenizer, weights, features)
    training, validation, trunk_tokens = nodes.split_tokens(tokens, trunk)
    backbone = load_or_build_backbone(trunk, trunk_tokens, checkpoint, COMPUTE)
    return Parts(tokenizer, weights, twins, backbone, tokens, training, validation, truth, keys)


@pytest.fixture(scope="session")
def parts() -> Parts:
    """Two batches, a third of the cells without proteins."""
    return make_parts("batch", 0.33)


@pytest.fixture(scope="session")
def whole() -> Parts:
    """One batch, every cell with both."""
    return make_parts(None, 0.0)
