"""The pretraining objective: what each part is asked for, and that every head learns from it."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from sc_mamba2.genes import Vocabulary
from sc_mamba2.model import Backbone, Heads, PretrainedModel, preset
from sc_mamba2.model.objective import OBJECTIVES, MaskedObjective, ObjectiveOptions
from sc_mamba2.tokens import MaskOptions, Tokenizer, TokenizerRules, make_batch, mask_tokens

NAMES = ("<pad>", "<cls>", *(f"g{n}" for n in range(30)))


@pytest.fixture
def objective():
    torch.manual_seed(0)
    tokenizer = Tokenizer(Vocabulary("thirty", NAMES, NAMES), TokenizerRules(max_length=40))
    backbone = Backbone(preset("micro", len(NAMES), pad_id=0))
    heads = Heads(expression_zeros=True, cell_expression_zeros=True, genes=True)
    return MaskedObjective(PretrainedModel(backbone, tokenizer, heads), ObjectiveOptions()).double()


def masked_batch(tokenizer, **options):
    matrix = sparse.random(6, 30, 0.6, format="csr", random_state=0, dtype=np.float32)
    obs = pd.DataFrame(index=list("abcdef"))
    tokens = tokenizer.tokenize(matrix, np.array(NAMES[2:]), obs)
    batch = make_batch(tokens, np.arange(6), tokenizer.vocabulary)
    return mask_tokens(batch, tokenizer, MaskOptions(**options), 0, 0)


def test_every_part_counts_what_it_asks_for(objective):
    batch = masked_batch(objective.model.tokenizer, left_out=0.8, zero_share=0.5)
    asked = dict(zip(OBJECTIVES, objective.target_counts(batch).tolist(), strict=True))
    assert asked["cell_genes"] == int(batch.left_out_mask_BO.sum()) > 0
    assert {asked[name] for name in OBJECTIVES[:4]} == {int(batch.mask_BL.sum())}


def test_genes_are_told_from_the_cell_alone(objective):
    batch = masked_batch(objective.model.tokenizer, left_out=0.8)
    model = objective.model
    cells = model.backbone.encode(batch.token_ids_BL, batch.inputs_BL, batch.lengths_B)
    table = model.backbone.gene_embedding.weight
    slow = 0.0
    for cell, ids, mask in zip(cells, batch.left_out_BO, batch.left_out_mask_BO, strict=True):
        logits = table @ model.gene_decoder.query(cell) + model.gene_decoder.bias_V
        slow -= logits.log_softmax(0)[ids[mask]].sum()
    found = objective(batch).sums_O[OBJECTIVES.index("cell_genes")]
    torch.testing.assert_close(found, slow)


def test_every_weight_gets_a_gradient(objective):
    batch = masked_batch(objective.model.tokenizer, left_out=0.5, zero_share=0.5)
    objective.weighted_sum(objective(batch).sums_O).backward()
    without = [name for name, part in objective.named_parameters() if part.grad is None]
    assert without == []


def test_a_batch_that_asks_for_nothing_costs_nothing(objective):
    batch = masked_batch(objective.model.tokenizer).without_targets()
    assert not objective(batch).sums_O.any() and not objective.target_counts(batch).any()
