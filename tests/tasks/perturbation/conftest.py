"""Simulated perturbed cells, and what the nodes before the head make of them."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest
from anndata import AnnData

from sc_mamba2.cells import simulate_perturbed, standardise
from sc_mamba2.genes import load_gene_table
from sc_mamba2.tasks.perturbation import nodes
from sc_mamba2.tasks.perturbation.effect_prior import Start
from sc_mamba2.tasks.perturbation.model import PerturbationModel
from sc_mamba2.tasks.perturbation.params import (
    HeadParams,
    KeyParams,
    PopulationParams,
    ScoreParams,
    SplitParams,
    StartParams,
)
from sc_mamba2.tasks.shared.backbone import load_or_build_backbone
from sc_mamba2.tasks.shared.params import BackboneParams, TokenizationParams
from sc_mamba2.tasks.shared.tokenization import tokenize_cells
from sc_mamba2.tokens import TokenizedCells, Tokenizer
from sc_mamba2.training import ComputeOptions

COMPUTE = ComputeOptions()


@dataclass(frozen=True)
class Parts:
    """What the nodes before the head make of the cells."""

    raw: AnnData
    valid: AnnData
    training: AnnData
    test: AnnData
    table: pd.DataFrame
    start: Start
    asked: str
    tokenizer: Tokenizer
    controls: AnnData
    tokens: TokenizedCells
    keys: KeyParams
    split: SplitParams

    def model(self, **head: Any) -> PerturbationModel:
        """Return an untrained model of width 8."""
        params = HeadParams(**{"width": 8, "pairs": 6} | head)
        backbone = load_or_build_backbone(self.tokenizer, self.tokens, BackboneParams(), COMPUTE)
        return nodes.attach_head(
            backbone, self.tokenizer, self.start, self.keys, params, self.split, COMPUTE
        )


def make_parts(raw: AnnData, keys: KeyParams, split: SplitParams) -> Parts:
    """Run the first nodes."""
    valid, _ = standardise(raw, load_gene_table())
    training, test, table, _ = nodes.hold_out(valid, keys, split, ScoreParams(), COMPUTE)
    start, asked = nodes.estimate(training, table, keys, StartParams(), PopulationParams())
    tokenizer = nodes.fit_perturbation_tokenizer(training, start, keys, TokenizationParams())
    controls = nodes.take_controls(training, keys)
    tokens = tokenize_cells(controls, tokenizer)
    made = (raw, valid, training, test, table, start, asked, tokenizer, controls, tokens)
    return Parts(*made, keys, split)


@pytest.fixture(scope="session")
def parts() -> Parts:
    raw = simulate_perturbed(cells=30, genes=100, targets=8, pairs=2)
    return make_parts(raw, KeyParams(context_key="batch"), SplitParams())
