from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from sc_mamba2.tasks.perturbation.model import (
    NO_GENE,
    ROW,
    PerturbationModel,
    with_perturbed_genes,
)
from sc_mamba2.tasks.perturbation.predict import (
    cell_changes,
    pair_with_controls,
    predicted_effects,
)
from sc_mamba2.tasks.perturbation.prior_fit import left_out_estimates
from sc_mamba2.tasks.shared.backbone import predict
from sc_mamba2.tasks.shared.params import PredictParams
from sc_mamba2.tokens import Batch, make_batch
from sc_mamba2.tokens.batches import PAD_BIN
from sc_mamba2.training import ComputeOptions

COMPUTE = ComputeOptions()
PAD, CLS = 0, 1


def pairs_of(parts, model):
    return pair_with_controls(model.prior.effects.rows, parts.tokens, 4, 0)


def test_an_untrained_model_is_the_estimate(parts):
    model = parts.model()
    rows = pd.DataFrame({"perturbation": [parts.requested] * 2, "context": ["first", "second"]})
    pairs = pair_with_controls(rows, parts.tokens, 5, 0)
    code = predict(model, pairs, PredictParams(), COMPUTE)["code"]
    found = predicted_effects(model, rows, pairs.obs, code, parts.controls)
    for row, context in enumerate(rows["context"]):
        control = parts.prior.effects.control_of(context)
        estimate = model.prior.estimate(parts.requested, context, control)
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
    effects = model.prior.effects
    lacking = effects.delta_QG - left_out_estimates(model.prior, "unseen_perturbation")
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
    names = pd.Series(sorted(model.prior.singles)[:2])
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
    row = model.prior.effects.rows.iloc[0]
    seen = cell_changes(model, row["perturbation"], row["context"], code)
    control = model.prior.effects.control_of(row["context"])
    estimate = model.prior.estimate(row["perturbation"], row["context"], control)
    trust = model.prior.measured_weight(row["perturbation"], row["context"])
    np.testing.assert_allclose(seen - estimate, (1 - trust) * model.added_change(code), atol=1e-9)


def test_a_stored_model_is_the_same(parts, tmp_path):
    model = parts.model().eval()
    torch.nn.init.normal_(model.decoder.weight)
    model = model.with_names("STAT1")
    model.save_pretrained(tmp_path / "checkpoint")
    again = PerturbationModel.from_pretrained(tmp_path / "checkpoint")
    assert again.sha256() == model.sha256() and again.settings() == model.settings()
    for name in (parts.requested, model.prior.effects.rows["perturbation"][0], "STAT1"):
        codes = np.ones((3, 8))
        first, second = (
            cell_changes(m.with_names(name), name, "first", codes) for m in (model, again)
        )
        assert (first == second).all()


def test_layers_read_a_perturbation_that_no_cell_had_as_a_model_that_was_told_of_it(parts):
    model = parts.model().eval()
    for weight in (model.decoder.weight, model.flag_encoder.weight):
        torch.nn.init.normal_(weight)
    assert "STAT1" not in model.prior.singles
    pairs = pair_with_controls(model.prior.effects.rows, parts.tokens, 2, 0)
    pairs = replace(pairs, obs=pairs.obs.assign(perturbation="STAT1", **{ROW: 0}))
    codes = [
        predict(m, pairs, PredictParams(), COMPUTE)["code"]
        for m in (model, model.with_names("STAT1"))
    ]
    np.testing.assert_allclose(*codes, atol=1e-6)
    nothing = replace(pairs, obs=pairs.obs.assign(perturbation="nonsense"))
    other = predict(model, nothing, PredictParams(), COMPUTE)["code"]
    assert not np.allclose(codes[0], other, atol=1e-4) and "STAT1" not in model.prior.singles


def batch(rows: list[list[int]]) -> Batch:
    width = max(map(len, rows))
    ids = torch.tensor([row + [PAD] * (width - len(row)) for row in rows])
    bins = torch.where(ids == PAD, PAD_BIN, torch.where(ids == CLS, 0.0, ids.float()))
    values = torch.where(bins > 0, bins / 10, 0.0)
    lengths = torch.tensor([len(row) for row in rows])
    return Batch(ids, bins, values, lengths, torch.arange(len(rows)))


def test_perturbed_genes_are_always_there_in_their_place():
    cells = batch([[CLS, 3, 5, 9], [CLS, 4], [CLS, 2, 7]])
    genes = torch.tensor([[5, 6], [8, NO_GENE], [NO_GENE, NO_GENE]])
    found, perturbed = with_perturbed_genes(cells, genes, PAD)
    assert found.token_ids_BL.tolist() == [[1, 3, 5, 6, 9], [1, 4, 8, 0, 0], [1, 2, 7, 0, 0]]
    assert found.lengths_B.tolist() == [5, 3, 3]
    assert perturbed.tolist() == [[0, 0, 1, 1, 0], [0, 0, 1, 0, 0], [0] * 5]
    assert found.bins_BL.tolist()[0] == [0, 3, 5, 0, 9]
    assert found.bins_BL.tolist()[1] == [0, 4, 0, PAD_BIN, PAD_BIN]
    np.testing.assert_allclose(found.values_BL[0].numpy(), [0, 0.3, 0.5, 0, 0.9], rtol=1e-6)


def test_a_gene_that_is_named_twice_is_there_once():
    found, perturbed = with_perturbed_genes(batch([[CLS, 3]]), torch.tensor([[4, 4]]), PAD)
    assert found.token_ids_BL.tolist() == [[1, 3, 4]] and perturbed.sum() == 1
