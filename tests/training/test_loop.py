"""The loop learns, stops, keeps its best weights, and gives the same weights for the same seed."""

import copy

import numpy as np
import pytest
import torch

from sc_mamba2.errors import UserError
from sc_mamba2.training import FitOptions, fit, mean_loss, seed_everything

CPU = torch.device("cpu")
OPTIONS = FitOptions(
    learning_rate=5e-3, batch_size=8, max_epochs=6, patience=6, gene_dropout=0.2, warmup_share=0.1
)


@pytest.fixture
def train(make_model, training, validation, vocabulary):
    """Train a fresh model; give the model and its history."""

    def run(seed=0, prepare=lambda model: None, on_step=lambda step, steps: None, **options):
        model = make_model(0)
        prepare(model)
        seed_everything(seed)
        chosen = OPTIONS.model_copy(update=options)
        history = fit(model, training, validation, vocabulary, chosen, seed, CPU, on_step)
        return model, history

    return run


def test_the_loss_goes_down(train):
    _, history = train(max_epochs=15, learning_rate=1e-2, patience=15)
    assert [row["epoch"] for row in history] == list(range(1, 16))
    assert history[-1]["training_loss"] < 0.5 * history[0]["training_loss"]
    assert min(row["validation_loss"] for row in history) < 0.4


def test_the_best_weights_are_put_back(train, validation, vocabulary):
    """A rate this high makes the loss go up and down, so that the last epoch is not the best."""
    model, history = train(learning_rate=0.3, final_rate_share=1.0)
    losses = [row["validation_loss"] for row in history]
    assert losses[-1] > min(losses)
    assert mean_loss(model, validation, vocabulary, 8, CPU) == pytest.approx(min(losses), abs=1e-7)
    best_so_far = [loss == min(losses[: at + 1]) for at, loss in enumerate(losses)]
    assert [row["best"] for row in history] == best_so_far


def test_equal_seeds_give_equal_weights_and_others_do_not(train):
    (first, history), (second, again), (other, _) = train(0), train(0), train(1)
    assert first.sha256() == second.sha256() != other.sha256()
    for left, right in zip(history, again, strict=True):
        assert left["validation_loss"] == right["validation_loss"]


def test_early_stopping(train):
    """It ends `patience` epochs after the best one; a rate this high soon makes things worse."""
    _, history = train(learning_rate=1.0, gradient_clip=1e3, patience=2, max_epochs=40)
    losses = [row["validation_loss"] for row in history]
    assert len(losses) < 40
    assert losses.index(min(losses)) == len(losses) - 1 - 2


def test_steps_are_told(train):
    told = []
    train(on_step=lambda step, steps: told.append((step, steps)), max_epochs=2, batch_size=16)
    assert told == [(step, 6) for step in range(1, 7)]


def test_the_rate_rises_and_falls(train):
    _, history = train(warmup_share=0.5)
    rates = [row["learning_rate"] for row in history]
    assert rates[0] < rates[1] < rates[2] and rates[3] > rates[4] > rates[5]
    assert rates[-1] == pytest.approx(OPTIONS.learning_rate * 0.1)


def changed_by(train, make_model, **options) -> set[str]:
    before = make_model(0).state_dict()
    model, _ = train(max_epochs=2, **options)
    state = model.state_dict()
    assert state.keys() == before.keys()
    return {name for name, tensor in state.items() if not torch.equal(tensor, before[name])}


def test_a_frozen_backbone_stays_bit_equal(train, make_model):
    changed = changed_by(train, make_model, mode="frozen")
    assert changed == {"classifier.weight", "classifier.bias"}


def test_adapters_change_the_projections_alone_and_leave_an_ordinary_model(train, make_model):
    changed = changed_by(train, make_model, mode="lora", lora_rank=2)
    mixer = "backbone.layers.0.mixer."
    projections = {f"{mixer}in_proj.weight", f"{mixer}out_proj.weight"}
    assert changed == {"classifier.weight", "classifier.bias"} | projections


def test_adapters_change_a_weight_by_their_rank_at_most(train, make_model):
    before = make_model(0).backbone.layers[0].mixer.in_proj.weight
    model, _ = train(mode="lora", lora_rank=2)
    change_OI = (model.backbone.layers[0].mixer.in_proj.weight - before).detach().double()
    values = torch.linalg.svdvals(change_OI)
    assert values[1] > 1e-4 and values[2] < 1e-4 * values[0]


def test_what_was_fixed_before_stays_fixed_and_the_rest_can_be_trained_again(train, make_model):
    def fix(model):
        model.backbone.layers.requires_grad_(False)

    changed = changed_by(train, make_model, prepare=fix)
    assert not any(name.startswith("backbone.layers.") for name in changed)
    assert "backbone.gene_encoder.embedding.weight" in changed
    for mode in ("full", "lora", "frozen"):
        model, _ = train(mode=mode, max_epochs=1)
        assert all(weight.requires_grad for weight in model.parameters())


def test_the_best_adapters_are_put_back(train, validation, vocabulary):
    model, history = train(mode="lora", learning_rate=0.3, final_rate_share=1.0)
    losses = [row["validation_loss"] for row in history]
    assert losses[-1] > min(losses)
    assert mean_loss(model, validation, vocabulary, 8, CPU) == pytest.approx(min(losses), abs=1e-5)


def test_without_freezing_every_part_moves(train, make_model):
    before = make_model(0).state_dict()
    model, _ = train(max_epochs=2)
    assert not any(
        torch.equal(t, before[name]) for name, t in model.state_dict().items() if t.dim() > 1
    )


def poison(model, value: str, at_step: int, hashes: list):
    """Let the loss, or its gradient only, be no number at one step; note the weights before it."""
    loss, calls = model.loss, iter(range(1, 10_000))

    def poisoned(batch, targets):
        result = loss(batch, targets)
        if not model.training or next(calls) != at_step:
            return result
        hashes.append(model.sha256())
        if value == "gradient":
            return result + torch.sqrt((model.classifier.weight * 0).sum())  # 0, its slope is not
        return result * float(value)

    model.loss = poisoned


@pytest.mark.parametrize("value", ["nan", "inf", "gradient"])
@pytest.mark.parametrize("at_step", [1, 3])
def test_what_is_not_finite_stops_before_the_weights_change(
    make_model, training, validation, vocabulary, value, at_step
):
    model, hashes = make_model(0), []
    poison(model, value, at_step, hashes)
    with pytest.raises(UserError) as caught:
        fit(model, training, validation, vocabulary, OPTIONS, 0, CPU)
    assert caught.value.rule == "loss-not-finite" and "cell " in caught.value.found
    assert hashes == [model.sha256()]


def test_the_cells_of_the_broken_batch_are_named(make_model, training, validation, vocabulary):
    model, seen = make_model(0), []
    loss = model.loss

    def poisoned(batch, targets):
        seen.extend(batch.cells_B.tolist())
        return loss(batch, targets) * float("nan")

    model.loss = poisoned
    with pytest.raises(UserError) as caught:
        fit(model, training, validation, vocabulary, OPTIONS, 0, CPU)
    assert all(f"cell {cell}" in caught.value.found for cell in seen[:3])


def test_thinned_cells_are_trained_on(train, monkeypatch):
    seen = []

    def note(tokens, least_depth, rules, seed, epoch):
        seen.append((least_depth, rules.n_bins, epoch))
        return tokens

    monkeypatch.setattr("sc_mamba2.training.loop.thin_cells", note)
    train(max_epochs=2, least_depth=0.4)
    assert seen == [(0.4, 51, 1), (0.4, 51, 2)]


def test_mean_loss_is_a_mean_a_cell(make_model, validation, vocabulary):
    model = make_model(0)
    losses = [mean_loss(model.train(), validation, vocabulary, size, CPU) for size in (1, 7, 24)]
    assert losses == pytest.approx([losses[0]] * 3, abs=1e-6)
    assert not model.training


def test_training_leaves_the_cells_as_they_were(train, training):
    before = copy.deepcopy(training)
    train(max_epochs=1)
    for name in ("gene_rows", "bins", "values", "offsets"):
        assert np.array_equal(getattr(training, name), getattr(before, name))
    assert training.obs.equals(before.obs)


def test_the_start_counts_where_it_is_kept(train, make_model, validation, vocabulary):
    """A rate this high makes everything worse from the first epoch on."""
    model, history = train(learning_rate=1.0, gradient_clip=1e3, keep_start=True, max_epochs=3)
    start = mean_loss(make_model(0), validation, vocabulary, 8, CPU)
    assert [row["epoch"] for row in history] == [0, 1, 2, 3]
    assert history[0]["validation_loss"] == pytest.approx(start, abs=1e-7) and history[0]["best"]
    assert start < min(row["validation_loss"] for row in history[1:])
    assert model.sha256() == make_model(0).sha256()
