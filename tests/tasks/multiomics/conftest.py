"""Simulated RNA and proteins, a third of the cells without proteins, and a model for them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sc_mamba2.cells.simulate_pairs import simulate_rna_protein
from sc_mamba2.genes import Vocabulary
from sc_mamba2.tasks.multiomics.cells import JointCells, standardise_modalities
from sc_mamba2.tasks.multiomics.fit import prepare
from sc_mamba2.tasks.multiomics.model import MultiomicsModel
from sc_mamba2.tasks.multiomics.params import (
    FeatureParams,
    HeadParams,
    ImputationParams,
    JointBackboneParams,
    KeyParams,
    LossParams,
)
from sc_mamba2.tasks.shared.params import IngestionParams, TokenizationParams, ValidationParams
from sc_mamba2.tokens import TokenizedCells
from sc_mamba2.training import ComputeOptions

COMPUTE = ComputeOptions()
NEW = JointBackboneParams(checkpoint=None)
IMPUTATION = ImputationParams(strengths=(0.1, 1.0), curvatures=(0.4,), folds=3)


@dataclass(frozen=True)
class Parts:
    """Joint cells, and what `prepare` makes of them."""

    cells: JointCells
    keys: KeyParams
    backbone: JointBackboneParams
    vocabulary: Vocabulary
    tokens: TokenizedCells
    training: TokenizedCells
    validation: TokenizedCells
    truth: pd.DataFrame

    def model(self, objective: dict[str, Any] | None = None, **head: Any) -> MultiomicsModel:
        """Return an untrained model of six components a modality."""
        return prepared(self.cells, self.keys, self.backbone, objective or {}, head)[0]


def prepared(cells, keys, backbone, objective: dict[str, Any], head: dict[str, Any]):
    """Run `prepare` with six components a modality."""
    params = HeadParams(**{"components": 6, "paths": ("trunk", "pooled")} | head)
    groups = (keys, TokenizationParams(), backbone, FeatureParams(), params)
    return prepare(cells, *groups, LossParams(**objective), COMPUTE)


def make_parts(batch_key: str | None, lacking: float, backbone: JointBackboneParams = NEW) -> Parts:
    """Prepare simulated cells; a share of them loses its proteins."""
    raw = simulate_rna_protein(120, 150)
    rows = np.random.default_rng(0).random(120) >= lacking
    raw["protein"] = raw["protein"][rows].copy()
    keys = KeyParams(batch_key=batch_key, label_key="cell_type", held_out_share=0.2)
    standard = (FeatureParams(), IngestionParams(), ValidationParams())
    cells, _ = standardise_modalities(raw, *standard)
    model, *tokens_and_truth = prepared(cells, keys, backbone, {}, {})
    return Parts(cells, keys, backbone, model.tokenizer.vocabulary, *tokens_and_truth)


@pytest.fixture(scope="session")
def parts() -> Parts:
    """Two batches, a third of the cells without proteins."""
    return make_parts("batch", 0.33)


@pytest.fixture(scope="session")
def whole() -> Parts:
    """One batch, every cell with both."""
    return make_parts(None, 0.0)
