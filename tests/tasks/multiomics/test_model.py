import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sc_mamba2.tasks.multiomics.loss import alignment, draw_visible, reconstruction
from sc_mamba2.tasks.multiomics.model import MultiomicsModel
from sc_mamba2.tokens import KINDS, make_batch


def some(parts, cells=range(24)):
    obs = parts.training.obs.iloc[list(cells)]
    return make_batch(parts.training, np.array(cells), parts.vocabulary), obs


def test_blocks_are_sums_of_a_cells_own_features_and_absent_ones_are_predicted(parts):
    model = parts.model(paths=("pooled",)).eval()
    batch, obs = some(parts)
    result = model.pool(batch)
    table, kinds = model.feature_table_VC, model.kind_V
    rna_width = model.widths["rna"]
    assert 0 < obs["has_protein"].sum() < len(obs)
    for row, (_, cell) in enumerate(obs.iterrows()):
        own = {}
        for kind, width in model.widths.items():
            total = model.offsets[kind].clone()
            for token, value in zip(batch.token_ids_BL[row], batch.values_BL[row], strict=True):
                if kinds[token] == KINDS.index(kind):
                    total = total + value * table[token, :width]
            own[kind] = total
        protein = own["protein"] if cell["has_protein"] else model.across["rna_protein"](own["rna"])
        expected = torch.cat([own["rna"], protein])
        assert torch.allclose(result[row], expected, atol=1e-4)
        assert len(own["rna"]) == rna_width


def test_a_hidden_modality_is_one_that_the_cell_never_had(parts):
    model = parts.model().eval()
    torch.nn.init.normal_(model.trunk_projection.weight, std=0.1)
    batch, obs = some(parts)
    codes = model.targets(obs)["batch_B"]
    alone = model(model.view(batch, ("rna",)), codes)
    lacking = ~obs["has_protein"].to_numpy(bool)
    whole = model(batch, codes)
    assert torch.allclose(alone[lacking], whole[lacking], atol=1e-5)
    assert not torch.allclose(alone[~lacking], whole[~lacking], atol=1e-2)


def test_a_cell_does_not_depend_on_the_cells_beside_it(parts):
    model = parts.model().eval()
    batch, obs = some(parts)
    one, own = some(parts, [7])
    together = model(batch, model.targets(obs)["batch_B"])[7]
    assert torch.allclose(model(one, model.targets(own)["batch_B"])[0], together, atol=1e-4)


def test_the_reconstruction_counts_what_a_cell_has_and_nothing_else(parts):
    model = parts.model().eval()
    batch, obs = some(parts)
    targets = model.targets(obs)
    cell = model(batch, targets["batch_B"])
    decoded = model.decode(cell, targets["batch_B"])
    values = torch.zeros_like(decoded)
    for row in range(len(obs)):
        for place in range(1, int(batch.lengths_B[row])):
            values[row, batch.token_ids_BL[row, place]] = batch.values_BL[row, place]
    expected = 0.0
    for kind in model.widths:
        rows = model.rows_of(kind)
        have = torch.from_numpy(obs[f"has_{kind}"].to_numpy(bool))
        squares = ((decoded - values)[have][:, rows] ** 2).mean()
        expected += squares / model.variance_M[KINDS.index(kind)]
    rows = {kind: model.rows_of(kind) for kind in model.widths}
    result = reconstruction(decoded, batch, targets["present_BM"], rows, model.variance_M)
    assert float(result) == pytest.approx(float(expected), rel=1e-4)


def test_views_are_of_what_a_cell_has(parts):
    torch.manual_seed(0)
    present = torch.tensor([[False, True, True, False]] * 300 + [[False, True, False, False]] * 9)
    drawn = draw_visible(present, 0.5)
    assert (drawn <= present).all() and drawn.any(dim=1).all()
    whole = drawn[:300].sum(dim=1) == 2
    assert 100 < int(whole.sum()) < 200
    alone = drawn[:300][~whole]
    assert 30 < int(alone[:, 1].sum()) < len(alone) - 30
    assert torch.equal(draw_visible(present, 0.0), present)


def test_the_alignment_is_the_cross_entropy_of_cosines(whole):
    model = whole.model().eval()
    batch, obs = some(whole)
    targets = model.targets(obs)
    embedded = {
        kind: model(model.view(batch, (kind,)), targets["batch_B"]) for kind in model.widths
    }
    rna, protein = (F.normalize(cells, dim=1) for cells in embedded.values())
    logits = rna @ protein.T / model.objective.temperature
    expected = -(logits.log_softmax(1).diag() + logits.log_softmax(0).diag()).mean() / 2
    result = alignment(embedded, targets["present_BM"], model.objective.temperature)
    assert float(result) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("objective", [{"contrast": 0.5}, {"adversary": 0.0}])
def test_the_loss_trains_every_part(parts, objective):
    model = parts.model(objective).train()
    assert not model.norm.training
    batch, obs = some(parts)
    loss = model.loss(batch, model.targets(obs))
    loss.backward()
    for name in ("feature_table_VC", "decoder.weight", "trunk_projection.weight"):
        assert model.get_parameter(name).grad.abs().sum() > 0, name
    adversary = model.discriminator.out_layer.weight.grad
    assert (adversary is None) == (objective.get("adversary") == 0.0)


def test_what_chooses_the_epoch_is_the_same_at_every_call(parts):
    model = parts.model().eval()
    batch, obs = some(parts)
    targets = model.targets(obs)
    assert float(model.loss(batch, targets)) == float(model.loss(batch, targets))


def test_no_label_reaches_the_targets(parts):
    assert set(parts.tokens.obs.columns) == {"batch", "part", "has_rna", "has_protein"}


def test_settings_build_the_same_model_in_the_same_order_of_blocks(parts, tmp_path):
    model = parts.model().eval()
    model.add_imputer("protein", 5)
    model.save_pretrained(tmp_path / "model")
    again = MultiomicsModel.from_pretrained(tmp_path / "model")
    assert list(again.widths) == ["rna", "protein"] and again.sha256() == model.sha256()
    batch, obs = some(parts)
    codes = model.targets(obs)["batch_B"]
    assert torch.equal(again(batch, codes), model(batch, codes))


def test_the_table_of_features_has_a_rate_of_its_own(parts):
    model = parts.model()
    groups = model.parameter_groups(1.0, 0.1)
    (own,) = [g for g in groups if any(p is model.feature_table_VC for p in g["params"])]
    assert own["lr"] == model.head.table_rate_factor and len(own["params"]) == 1
    assert sum(len(group["params"]) for group in groups) == sum(
        weight.requires_grad for weight in model.parameters()
    )
