"""The formula, the loss and its parts; paths; saving."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from sc_mamba2.model import elastic_similarity
from sc_mamba2.model.domains import batch_excess
from sc_mamba2.tasks.shared.backbone import predict
from sc_mamba2.tasks.shared.params import PredictParams
from sc_mamba2.tokens import make_batch
from sc_mamba2.tokens.augmentation import hide_tokens
from sc_mamba2.training import ComputeOptions


def some(parts, cells=range(12)):
    batch = make_batch(parts.tokens, np.array(cells), parts.tokenizer.vocabulary)
    return batch, parts.tokens.obs.iloc[list(cells)]


def test_the_embedding_is_the_formula_written_out(parts):
    model = parts.model().eval()
    torch.nn.init.normal_(model.trunk_projection.weight)
    batch, obs = some(parts)
    codes = model.targets(obs)["batch_B"]
    found = model(batch, codes)
    hidden = model.backbone(batch.token_ids_BL, batch.bins_BL, batch.lengths_B)[:, 0]
    for row in range(len(obs)):
        weights = model.backbone.gene_embedding.weight[batch.token_ids_BL[row]]
        pooled = (batch.values_BL[row][:, None] * weights).sum(0)
        summed = model.pooled_projection(pooled) + model.trunk_projection(hidden[row])
        norm, domain = model.norm, codes[row]
        expected = (summed - norm.running_mean[domain]) / norm.running_var[domain].sqrt()
        expected = expected * norm.weight + norm.bias
        assert torch.allclose(found[row], expected, rtol=1e-3, atol=1e-4)


def test_the_loss_is_the_sum_of_its_parts(parts):
    objective = {"mask_share": 0.0, "adversary": 0.7, "similarity": 0.5}
    model = parts.model(objective, paths=("pooled",)).train()
    batch, obs = some(parts, range(40))
    targets = model.targets(obs)
    codes, shares = targets["batch_B"], obs["batch"].value_counts(normalize=True)
    found = model.loss(batch, targets)
    cell = model(batch, codes)
    values = torch.zeros(40, parts.tokenizer.vocabulary.size)
    for row in range(40):
        for place in range(1, int(batch.lengths_B[row])):
            values[row, batch.token_ids_BL[row, place]] = batch.values_BL[row, place]
    decoded = model.batch_decoder(torch.cat([cell, model.batch_encoder(codes)], dim=1))
    decoded = decoded + model.decoder(cell)
    expected = ((decoded - values) ** 2).mean() / model.gene_variance
    losses = F.cross_entropy(model.discriminator(cell), codes, reduction="none")
    weights = torch.tensor([1 / (2 * shares[name]) for name in obs["batch"]], dtype=torch.float32)
    expected = expected + (losses * weights).mean() + 0.5 * elastic_similarity(cell, 0.3)
    assert float(found) == pytest.approx(float(expected), rel=1e-4)


def test_the_adversary_pushes_the_embedding_against_its_own_descent(parts):
    gradients = {}
    for strength in (1e-9, 5.0):
        objective = {"mask_share": 0.0, "adversary": strength}
        model = parts.model(objective, paths=("pooled",)).train()
        batch, obs = some(parts, range(40))
        targets = model.targets(obs)
        model.loss(batch, targets).backward()
        gradients[strength] = model.pooled_projection.weight.grad.clone()
        if strength > 1:
            cell = model(batch, targets["batch_B"])
            logits = model.discriminator(cell, -1.0)  # a reversed reversal: the plain gradient
            losses = F.cross_entropy(logits, targets["batch_B"], reduction="none")
            plain = torch.autograd.grad(
                (losses * targets["weight_B"]).mean(), model.pooled_projection.weight
            )[0]
    assert torch.allclose(gradients[5.0] - gradients[1e-9], -5 * plain, rtol=1e-2, atol=1e-5)


def test_the_decoder_alone_is_given_the_batch(parts):
    """With one norm for all, the batch of a cell changes nothing of its embedding."""
    model = parts.model(domain_norm=False).eval()
    batch, obs = some(parts)
    codes = model.targets(obs)["batch_B"]
    assert torch.equal(model(batch, codes), model(batch, 1 - codes))
    decoded = [
        model.decode(model(batch, codes), model.batch_encoder(k)) for k in (codes, 1 - codes)
    ]
    assert not torch.allclose(*decoded)


def test_labels_play_no_part(parts):
    """Neither the tokens nor the targets hold a label."""
    assert list(parts.tokens.obs.columns) == ["batch"]
    assert set(parts.model().targets(parts.tokens.obs)) == {"batch_B", "weight_B"}


@pytest.mark.parametrize("path", ["trunk", "pooled"])
def test_a_path_alone_has_no_weights_of_the_other(parts, path, monkeypatch):
    model = parts.model(paths=(path,)).eval()
    names = {name.split(".")[0] for name, _ in model.named_parameters()}
    assert {f"{other}_projection" for other in ("trunk", "pooled")} & names == {
        f"{path}_projection"
    }
    batch, obs = some(parts)
    if path == "pooled":
        monkeypatch.setattr(model.backbone, "forward", lambda *_: pytest.fail("the trunk ran"))
    assert model(batch, model.targets(obs)["batch_B"]).std() > 0.1


def test_saved_and_loaded_it_predicts_bit_for_bit_the_same(parts, tmp_path):
    model = parts.model()
    model.save_pretrained(tmp_path / "model")
    loaded = type(model).from_pretrained(tmp_path / "model")
    assert loaded.sha256() == model.sha256() and loaded.batches == ("first", "second")
    decoded = [predict(m, parts.tokens, PredictParams(), ComputeOptions()) for m in (model, loaded)]
    assert (decoded[0]["embedding"] == decoded[1]["embedding"]).all()


def test_a_cell_is_embedded_the_same_alone_and_among_others(parts):
    model = parts.model()
    whole = predict(model, parts.tokens, PredictParams(), ComputeOptions())["embedding"]
    one = predict(model, parts.tokens.take(np.array([17])), PredictParams(), ComputeOptions())
    np.testing.assert_allclose(one["embedding"][0], whole[17], rtol=1e-3, atol=1e-4)


def test_hidden_tokens_have_no_value_and_the_rest_keeps_its_sum(parts):
    batch, _ = some(parts, range(100))
    for by_chance in (True, False):
        seen = hide_tokens(batch, 0.4, by_chance)
        hidden = seen.bins_BL == -1
        genes = batch.bins_BL > 0
        assert (hidden <= genes).all() and (seen.values_BL[hidden] == 0).all()
        assert float(hidden.sum() / genes.sum()) == pytest.approx(0.4, abs=0.03)
        assert float(seen.values_BL.sum() / batch.values_BL.sum()) == pytest.approx(1, abs=0.03)
    again = hide_tokens(batch, 0.4, by_chance=False)
    assert torch.equal(again.bins_BL, seen.bins_BL)


def test_the_batch_of_a_cell_without_genes_is_embedded_too(parts):
    model = parts.model().eval()
    batch, _ = some(parts, [0])
    empty = type(batch)(
        batch.token_ids_BL[:, :1],
        batch.bins_BL[:, :1],
        batch.values_BL[:, :1],
        torch.ones(1, dtype=torch.long),
        batch.cells_B,
    )
    found = model.predictor(pd.DataFrame({"batch": ["first"]}))(empty)
    assert torch.isfinite(found["embedding"]).all()


@pytest.mark.parametrize(("shift", "low", "high"), [(0.0, -0.1, 0.1), (50.0, 1.0, 1.0)])
def test_the_excess_of_the_own_batch_is_none_by_chance_and_one_apart(shift, low, high):
    torch.manual_seed(0)
    batches = (torch.arange(300) % 3 > 0).long()
    found = float(batch_excess(torch.randn(300, 4) + shift * batches[:, None], batches))
    assert low <= found <= high
    assert float(batch_excess(torch.randn(5, 4), torch.zeros(5, dtype=torch.long))) == 0
    assert float(batch_excess(torch.randn(1, 4), torch.zeros(1, dtype=torch.long))) == 0
