import numpy as np
import pytest
import torch

from sc_mamba2.cells import simulate_cells, standardise
from sc_mamba2.genes import load_gene_table
from sc_mamba2.tasks.annotation.fit import attach_head, split_validation
from sc_mamba2.tasks.annotation.params import HeadParams, LabelParams
from sc_mamba2.tasks.annotation.split import hold_out
from sc_mamba2.tasks.shared.backbone import load_or_build_backbone
from sc_mamba2.tasks.shared.params import BackboneParams, TokenizationParams
from sc_mamba2.tasks.shared.tokenization import fit_tokenizer, tokenize_cells
from sc_mamba2.tokens import make_batch
from sc_mamba2.training import ComputeOptions

LABELS = LabelParams(key="cell_type")


@pytest.fixture(scope="module")
def parts():
    cells, _ = standardise(simulate_cells(60, 80), load_gene_table())
    training, query, _ = hold_out(cells, LABELS, ComputeOptions())
    tokenizer = fit_tokenizer(training, query, TokenizationParams())
    return tokenizer, tokenize_cells(training, tokenizer)


def test_every_path_starts_at_zero_beside_a_readout_and_not_without(parts):
    tokenizer, tokens = parts
    batch = make_batch(tokens, np.arange(5), tokenizer.vocabulary)
    assert (model_with(parts)(batch)[0] == 0).all()
    assert (
        model_with(parts, "trunk")(batch)[0].any() and model_with(parts, "pooled")(batch)[0].any()
    )


def model_with(parts, *paths, **head):
    tokenizer, tokens = parts
    backbone = load_or_build_backbone(tokenizer, tokens, BackboneParams(), ComputeOptions())
    params = HeadParams(paths=paths or ("trunk", "pooled", "readout"), **head)
    return attach_head(backbone, tokenizer, tokens, params, LABELS, ComputeOptions()).eval()


def test_logits_are_the_sum_of_the_formula_written_out(parts):
    model = model_with(parts).double()
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter)
    tokenizer, tokens = parts
    cells = np.array([3, 11, 5])
    batch = make_batch(tokens, cells, tokenizer.vocabulary)
    logits_BK, embedding = model(batch)
    cell_BD = embedding[:, : model.backbone.config.d_model]
    for row, cell in enumerate(cells):
        start, stop = tokens.offsets[cell], tokens.offsets[cell + 1]
        genes = torch.from_numpy(tokens.gene_rows[start:stop].astype(np.int64))
        values_L = torch.from_numpy(tokens.values[start:stop]).double()
        embedding_VD = model.backbone.gene_embedding.weight
        pooled_D = sum(v * embedding_VD[g] for v, g in zip(values_L, genes, strict=True))
        expected_K = model.bias_K + model.trunk_classifier(cell_BD[row])
        expected_K = expected_K + model.pooled_classifier(model.pooled_norm(pooled_D))
        assert torch.allclose(embedding[row, cell_BD.shape[1] :], model.pooled_norm(pooled_D))
        expected_K = expected_K + values_L @ model.readout_VK[genes]
        assert torch.allclose(logits_BK[row], expected_K, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("path", ["trunk", "pooled", "readout"])
def test_a_path_alone_has_no_weights_of_the_others(parts, path):
    names = {name.split(".")[0] for name, _ in model_with(parts, path).named_parameters()}
    weights = {"trunk": {"trunk_classifier"}, "pooled": {"pooled_norm", "pooled_classifier"}}
    weights["readout"] = {"readout_VK"}
    assert names - {"backbone", "bias_K"} == weights[path]


def test_a_model_without_a_trunk_never_runs_it(parts, monkeypatch):
    model = model_with(parts, "pooled", "readout")
    monkeypatch.setattr(model.backbone, "forward", lambda *_: pytest.fail("the trunk ran"))
    tokenizer, tokens = parts
    model(make_batch(tokens, np.arange(4), tokenizer.vocabulary))


def test_the_readout_has_its_own_rate_and_every_parameter_is_in_one_group(parts):
    model = model_with(parts, readout_rate_factor=3.0, readout_weight_decay=0.7)
    groups = model.parameter_groups(0.01, 0.1)
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())
    (readout,) = [g for g in groups if any(p is model.readout_VK for p in g["params"])]
    assert readout["lr"] == pytest.approx(0.03) and readout["weight_decay"] == 0.7


def test_class_weights_have_mean_one_over_the_training_cells(parts):
    model = model_with(parts, class_weight_power=1.0)
    _, tokens = parts
    counts = tokens.obs["label"].value_counts()
    weights = dict(zip(model.labels, model.class_weights, strict=True))
    assert sum(weights[x] * counts[x] for x in counts.index) == pytest.approx(counts.sum())
    assert weights[counts.idxmin()] == max(weights.values())


def test_labels_are_smoothed_in_training_only(parts):
    tokenizer, tokens = parts
    batch = make_batch(tokens, np.arange(6), tokenizer.vocabulary)
    model = model_with(parts, "pooled", label_smoothing=0.3, class_weight_power=0.0, dropout=0.0)
    targets = {name: all_[:6] for name, all_ in model.targets(tokens.obs).items()}
    log_BK = model(batch)[0].log_softmax(-1)
    plain = -log_BK[torch.arange(6), targets["class_B"]].mean()
    assert model.loss(batch, targets).item() == pytest.approx(plain.item(), rel=1e-5)
    smooth = 0.7 * plain - 0.3 * log_BK.mean()
    assert model.train().loss(batch, targets).item() == pytest.approx(smooth.item(), rel=1e-5)


def test_saved_and_loaded_it_predicts_bit_for_bit_the_same(parts, tmp_path):
    model = model_with(parts)
    model.save_pretrained(tmp_path / "model")
    loaded = type(model).from_pretrained(tmp_path / "model")
    tokenizer, tokens = parts
    batch = make_batch(tokens, np.arange(5), tokenizer.vocabulary)
    assert loaded.sha256() == model.sha256() and loaded.labels == model.labels
    assert torch.equal(loaded.predict(batch)["probability"], model.predict(batch)["probability"])


def test_the_validation_cells_are_no_training_cells(parts):
    _, tokens = parts
    first, second = split_validation(tokens, LABELS, ComputeOptions())
    assert not set(first.obs.index) & set(second.obs.index)
    assert len(first) + len(second) == len(tokens)
