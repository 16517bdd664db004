"""One step of pretraining: what is not finite stops it before the weights are touched."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.training.corpora import write_store

from sc_mamba2.errors import UserError
from sc_mamba2.model import Backbone, Heads, PretrainedModel, preset
from sc_mamba2.model.objective import MaskedObjective, ObjectiveOptions
from sc_mamba2.tokens import MaskOptions, Tokenizer, TokenStore
from sc_mamba2.training.corpus_cells import expressed_vocabulary
from sc_mamba2.training.masked_cells import MaskedCells
from sc_mamba2.training.options import SamplingOptions
from sc_mamba2.training.pretraining import Pretrainer, PretrainOptions
from sc_mamba2.training.ranks import Ranks


@pytest.fixture
def trainer(tmp_path):
    store = TokenStore.open(write_store(tmp_path / "store"))
    cells = np.arange(len(store))
    tokenizer = Tokenizer(expressed_vocabulary(store, cells), store.tokenizer.rules)
    source = MaskedCells(store, cells, tokenizer, SamplingOptions(), MaskOptions(), 12, 0)
    torch.manual_seed(0)
    backbone = Backbone(preset("micro", tokenizer.vocabulary.size))
    heads = Heads(expression_zeros=True, cell_expression_zeros=True, genes=True)
    objective = MaskedObjective(PretrainedModel(backbone, tokenizer, heads), ObjectiveOptions())
    options = PretrainOptions(steps=4, batch_size=12, micro_batch_size=4)
    return Pretrainer(objective, source, options, 0, Ranks(0, 1, torch.device("cpu")))


def weights_of(trainer):
    return {name: part.clone() for name, part in trainer.objective.state_dict().items()}


def test_the_loss_is_the_weighed_mean_over_the_what_each_part_asks_for(trainer):
    row = trainer.take(0)
    weights = ObjectiveOptions().model_dump()
    assert abs(row.loss - sum(weights[name] * value for name, value in row.parts.items())) < 1e-9
    assert row.tokens > 12 and row.gradient_norm > 0 and row.epoch == 0


def test_batches_made_ahead_are_those_made_in_turn(trainer):
    in_turn = [trainer.source.load(*trainer.source.cells(step)) for step in (0, 1, 2)]
    with ThreadPoolExecutor(1) as trainer.ahead:
        for step, expected in zip((0, 1, 2, 1), (*in_turn, in_turn[1]), strict=True):
            _, _, parts = trainer._batches(step)
            found = torch.cat([part.cells_B for part in parts])
            assert torch.equal(found, expected.cells_B)
            assert trainer.next[0] == step + 1
        trainer._batches(3)  # the last one: nothing is made that nobody takes
        assert trainer.next is None


def test_a_target_that_is_not_finite_stops_it_and_names_cells(trainer, monkeypatch):
    load = trainer.source.load

    def spoiled(cells, epoch):
        batch = load(cells, epoch)
        return replace(batch, target_BL=batch.target_BL.masked_fill(batch.mask_BL, float("nan")))

    before = weights_of(trainer)
    monkeypatch.setattr(trainer.source, "load", spoiled)
    with pytest.raises(UserError, match=r"loss-not-finite.*step 0, cells of process 0: cell"):
        trainer.take(0)
    assert all(torch.equal(part, before[name]) for name, part in weights_of(trainer).items())


def test_one_gradient_that_is_not_finite_stops_it_too(trainer):
    before = weights_of(trainer)
    bias = trainer.objective.model.expression_decoder.fc[0].bias
    bias.register_hook(lambda gradient: torch.full_like(gradient, float("inf")))
    with pytest.raises(UserError, match="loss-not-finite"):
        trainer.take(0)
    assert all(torch.equal(part, before[name]) for name, part in weights_of(trainer).items())


def test_a_step_that_asks_for_nothing_leaves_a_finite_loss(trainer, monkeypatch):
    load = trainer.source.load

    def silent(cells, epoch):
        batch = load(cells, epoch)
        return replace(batch.without_targets(), cells_B=batch.cells_B)

    monkeypatch.setattr(trainer.source, "load", silent)
    assert trainer.take(0).loss == 0
