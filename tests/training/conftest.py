"""The smallest task model there is, and forty cells of two kinds that it can tell apart."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional

from sc_mamba2.genes import Vocabulary
from sc_mamba2.model import Backbone, TaskModel, preset
from sc_mamba2.tokens import TokenizedCells, Tokenizer, TokenizerRules
from sc_mamba2.training import seed_everything

NAMES = ("<pad>", "<cls>", *(f"ENSG{number:011d}" for number in range(20)))
VOCABULARY = Vocabulary("twenty", NAMES, NAMES)


class TwoKinds(TaskModel):
    """Tells two kinds of cells apart, by a linear layer on the cell embedding."""

    task = "two_kinds"

    def __init__(self, backbone, tokenizer):
        super().__init__(backbone, tokenizer)
        self.classifier = nn.Linear(backbone.config.d_model, 2)

    def settings(self):
        return {}

    @classmethod
    def from_settings(cls, backbone, tokenizer, settings):
        return cls(backbone, tokenizer)

    def targets(self, obs):
        return {"kind_B": torch.tensor(obs["kind"].to_numpy())}

    def forward(self, batch):
        return self.classifier(
            self.backbone.encode(batch.token_ids_BL, batch.bins_BL, batch.lengths_B)
        )

    def loss(self, batch, targets):
        return functional.cross_entropy(self(batch), targets["kind_B"])

    def predict(self, batch):
        return {"logits": self(batch), "first_cell": batch.cells_B}


def new_model(seed: int = 0) -> TwoKinds:
    seed_everything(seed)
    config = preset("micro", VOCABULARY.size, d_model=16, d_state=8, head_dim=8, n_layers=1)
    return TwoKinds(Backbone(config), Tokenizer(VOCABULARY, TokenizerRules()))


def new_tokens(cells: int, seed: int) -> TokenizedCells:
    """Cells of kind 0 have the genes 2 to 11 above the others, cells of kind 1 below."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(6, 16, cells)
    kinds = generator.integers(2, size=cells)
    rows = [np.sort(generator.choice(np.arange(2, 22), n, replace=False)) for n in lengths]
    joined, kind = np.concatenate(rows), np.repeat(kinds, lengths)
    bins = np.where((joined < 12) == (kind == 0), 40, 5) + generator.integers(5, size=len(joined))
    return TokenizedCells(
        gene_rows=joined.astype(np.int32),
        bins=bins.astype(np.int16),
        values=(bins / 10).astype(np.float32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        obs=pd.DataFrame({"kind": kinds}, index=[f"cell {n}" for n in range(cells)]),
    )


@pytest.fixture
def make_model():
    return new_model


@pytest.fixture
def vocabulary() -> Vocabulary:
    return VOCABULARY


@pytest.fixture(scope="session")
def training() -> TokenizedCells:
    return new_tokens(40, seed=1)


@pytest.fixture(scope="session")
def validation() -> TokenizedCells:
    return new_tokens(24, seed=2)
