"""Simulated perturbed cells, and what is made of them before any training."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest
from anndata import AnnData

from sc_mamba2.cells import simulate_perturbed, standardise
from sc_mamba2.genes import load_gene_table
from sc_mamba2.tasks.perturbation.effect_prior import EffectPrior
from sc_mamba2.tasks.perturbation.effects import sides_of
from sc_mamba2.tasks.perturbation.fit import hold_out, new_model, prepare
from sc_mamba2.tasks.perturbation.model import PerturbationModel
from sc_mamba2.tasks.perturbation.params import HeadParams, KeyParams, PerturbationParams
from sc_mamba2.tasks.shared.backbone import load_or_build_backbone
from sc_mamba2.tasks.shared.params import BackboneParams, TokenizationParams
from sc_mamba2.tasks.shared.tokenization import tokenize_cells
from sc_mamba2.tokens import TokenizedCells, Tokenizer
from sc_mamba2.training import ComputeOptions

COMPUTE = ComputeOptions()
PARAMS = PerturbationParams(keys=KeyParams(context_key="batch"), head=HeadParams(width=8, pairs=6))


@dataclass(frozen=True)
class Parts:
    """What is made of the cells before any training."""

    valid: AnnData
    training: AnnData
    test: AnnData
    split: pd.DataFrame
    prior: EffectPrior
    requested: str
    training_tokens: TokenizedCells
    validation_tokens: TokenizedCells
    test_tokens: TokenizedCells
    tokenizer: Tokenizer
    controls: AnnData
    tokens: TokenizedCells
    keys: KeyParams

    def model(self, **head: Any) -> PerturbationModel:
        """Return an untrained model of width 8."""
        params = HeadParams(**{"width": 8, "pairs": 6} | head)
        backbone = load_or_build_backbone(self.tokenizer, self.tokens, BackboneParams(), COMPUTE)
        kind = PARAMS.split.kind
        return new_model(backbone, self.tokenizer, self.prior, self.keys, params, kind, 0)


@pytest.fixture(scope="session")
def parts() -> Parts:
    raw = simulate_perturbed(cells=30, genes=100, targets=8, pairs=2)
    valid, _ = standardise(raw, load_gene_table())
    p, keys = PARAMS, PARAMS.keys
    training, test, split, _ = hold_out(valid, keys, p.split, p.evaluation, COMPUTE)
    own = (keys, p.split, p.start, p.head, p.population, TokenizationParams(), p.backbone)
    model, prior, requested, *tokens = prepare(training, split, *own, COMPUTE)
    controls = sides_of(training, keys.control)[1]
    made = (valid, training, test, split, prior, requested, *tokens, model.tokenizer, controls)
    return Parts(*made, tokenize_cells(controls, model.tokenizer), keys)
