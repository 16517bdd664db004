import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

from sc_mamba2.tasks.perturbation.fit_effect_prior import left_out_estimates
from sc_mamba2.tasks.perturbation.model import PerturbationModel
from sc_mamba2.tasks.perturbation.predict import (
    cell_changes,
    pair_with_controls,
    predicted_effects,
)
from sc_mamba2.tasks.perturbation.training import complete, keep_what_helps, training_pairs
from sc_mamba2.tasks.shared.backbone import predict
from sc_mamba2.tasks.shared.params import PredictParams
from sc_mamba2.tokens import make_batch
from sc_mamba2.training import ComputeOptions

COMPUTE = ComputeOptions()


def pairs_of(parts, model):
    return pair_with_controls(model.start.effects.rows, parts.tokens, 4, 0)


def test_an_untrained_model_is_the_estimate(parts):
    model = parts.model()
    rows = pd.DataFrame({"perturbation": [parts.asked] * 2, "context": ["first", "second"]})
    pairs = pair_with_controls(rows, parts.tokens, 5, 0)
    code = predict(model, pairs, PredictParams(), COMPUTE)["code"]
    found = predicted_effects(model, rows, pairs.obs, code, parts.controls)
    for row, context in enumerate(rows["context"]):
        control = parts.start.effects.control_of(context)
        estimate = model.start.estimate(parts.asked, context, control)
        cells = parts.controls.X[pairs.obs["cell"].to_numpy()[pairs.obs["row"] == row]]
        level = np.asarray(cells.mean(axis=0)).ravel()
        np.testing.assert_allclose(found[row], np.maximum(estimate, -level), atol=1e-6)


def test_the_loss_is_the_formula_written_out(parts):
    model = parts.model().eval()
    torch.nn.init.normal_(model.decoder.weight, std=0.3)
    pairs = pairs_of(parts, model)
    batch = make_batch(pairs, np.arange(20), parts.tokenizer.vocabulary)
    targets = {name: all_[:20] for name, all_ in model.targets(pairs.obs).items()}
    found = model.loss(batch, targets).item()
    code = model(batch, targets["condition_BF"], targets["genes_BJ"]).detach().double().numpy()
    effects = model.start.effects
    lacking = effects.delta_QG - left_out_estimates(model.start, "unseen_perturbation")
    size = np.sqrt((effects.delta_QG**2).mean())
    losses = []
    for cell in range(20):
        row = int(targets["row_B"][cell])
        told = model.decoder.weight.detach().double().numpy() @ code[cell]
        error = ((told - lacking[row] / size) ** 2).mean()
        losses.append(effects.reliability_Q[row] * error)
    assert found == pytest.approx(np.mean(losses), rel=1e-4)


def test_the_layers_read_the_cell_and_the_perturbation(parts):
    model = parts.model().eval()
    for encoder in (model.flag_encoder, model.kind_encoder):
        torch.nn.init.normal_(encoder.weight)
    pairs = pairs_of(parts, model)
    batch = make_batch(pairs, np.arange(4), parts.tokenizer.vocabulary)
    names = pd.Series(sorted(model.start.singles)[:2])
    features, genes = model.conditions(names)
    assert (genes[:, 0] >= 0).all()
    codes = [model(batch, features[[place] * 4], genes[[place] * 4]).detach() for place in (0, 1)]
    assert not torch.allclose(codes[0], codes[1], atol=1e-4)
    assert not torch.allclose(codes[0][0], codes[0][1], atol=1e-4)
    flagged = model(batch, features[[0] * 4], genes[[1] * 4]).detach()
    assert not torch.allclose(codes[0], flagged, atol=1e-5)


def test_the_layers_add_less_where_the_effect_was_measured(parts):
    model = parts.model().eval()
    torch.nn.init.normal_(model.decoder.weight)
    code = np.ones((2, 8))
    row = model.start.effects.rows.iloc[0]
    seen = cell_changes(model, row["perturbation"], row["context"], code)
    control = model.start.effects.control_of(row["context"])
    estimate = model.start.estimate(row["perturbation"], row["context"], control)
    trust = model.start.trust(row["perturbation"], row["context"])
    np.testing.assert_allclose(seen - estimate, (1 - trust) * model.added_change(code), atol=1e-9)


def test_a_stored_model_is_the_same(parts, tmp_path):
    model = parts.model().eval()
    torch.nn.init.normal_(model.decoder.weight)
    model.know("STAT1")
    model.save_pretrained(tmp_path / "checkpoint")
    again = PerturbationModel.from_pretrained(tmp_path / "checkpoint")
    assert again.sha256() == model.sha256() and again.settings() == model.settings()
    for name in (parts.asked, model.start.effects.rows["perturbation"][0], "STAT1"):
        again.know(name)
        codes = np.ones((3, 8))
        first, second = (cell_changes(m, name, "first", codes) for m in (model, again))
        assert (first == second).all()


def test_layers_that_do_not_help_are_left_out(parts):
    model = parts.model()
    torch.nn.init.normal_(model.decoder.weight, std=3)
    training, validation = training_pairs(
        model.start, parts.tokens, model.head, "unseen_perturbation", 0.2, 0
    )
    assert not set(training.obs["row"]) & set(validation.obs["row"])
    verdict = keep_what_helps(model, training, validation, COMPUTE)
    assert verdict["loss_with"] > verdict["loss_without"] and not verdict["kept"]
    assert model.gate == 0
    torch.nn.init.zeros_(model.decoder.weight)
    assert not keep_what_helps(model, training, training, COMPUTE)["kept"]


def test_all_cells_are_measured_in_the_end(parts):
    model = parts.model()
    before = set(model.start.effects.rows["perturbation"])
    complete(model, ad.concat([parts.training, parts.test]))
    after = set(model.start.effects.rows["perturbation"])
    assert parts.asked not in before and parts.asked in after
    assert len(model.delta_QG) == len(model.start.effects.rows)
