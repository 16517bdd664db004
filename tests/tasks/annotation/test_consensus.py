"""The consensus: what its experts are asked, who counts, what stays with the folder."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch

from sc_mamba2 import from_pretrained, tl
from sc_mamba2.cells import keys, simulate_cells
from sc_mamba2.errors import UserError
from sc_mamba2.genes import Vocabulary
from sc_mamba2.model import Backbone, Heads, PretrainedModel as Pretrained
from sc_mamba2.tasks.annotation.annotator import Annotator
from sc_mamba2.tasks.annotation.consensus import ConsensusModel
from sc_mamba2.tasks.annotation.expert_weighting import Structure, weight_network
from sc_mamba2.tasks.annotation.experts import Readings, predict_with_experts
from sc_mamba2.tasks.annotation.fit import tokenizer_of_all
from sc_mamba2.tasks.annotation.other_genes import read_genes
from sc_mamba2.tasks.annotation.params import ConsensusParams
from sc_mamba2.tasks.annotation.tokens import annotation_tokens
from sc_mamba2.tasks.shared.parameters import build_parameters
from sc_mamba2.tasks.shared.params import SHARED_GROUPS, PredictParams, TokenizationParams
from sc_mamba2.tasks.shared.tokenization import source_vocabulary
from sc_mamba2.tl.shared import valid_cells
from sc_mamba2.tokens import Tokenizer
from sc_mamba2.training import ComputeOptions

CELLS = simulate_cells(180, 120)
REFERENCE, QUERY = CELLS[:120].copy(), CELLS[120:].copy()
GROUPS_AS_THEY_ARE = build_parameters(SHARED_GROUPS, {})
SIMPLE = ConsensusParams().experts[:5]
SHORT = {"annotation.fine_tune.max_epochs": 2, "tokenization.variable_genes": 60}


def accuracy(annotated):
    return (
        annotated.obs[keys.CELL_TYPE].to_numpy(str) == QUERY.obs["cell_type"].to_numpy(str)
    ).mean()


@pytest.fixture(scope="module")
def called(tmp_path_factory):
    folder = tmp_path_factory.mktemp("consensus") / "model"
    options = {"label_key": "cell_type", "save": folder, "copy": True}
    return folder, tl.annotate(QUERY.copy(), REFERENCE.copy(), **options)


def test_every_expert_is_right_of_easy_types_and_all_together():
    params = ConsensusParams(least_molecules=0)
    readings = [Readings(cells.X, counted=True) for cells in (REFERENCE, QUERY)]
    types = sorted(set(REFERENCE.obs["cell_type"]))
    classes_R = np.array([types.index(name) for name in REFERENCE.obs["cell_type"]])
    predicted, distance_N, likeness = predict_with_experts(
        readings[0], classes_R, 4, readings[1], params, 0
    )
    assert set(predicted) == set(SIMPLE) and distance_N.shape == (60,) and 0 <= likeness <= 1
    truth_N = np.array([types.index(name) for name in QUERY.obs["cell_type"]])
    for name, answer_NK in predicted.items():
        np.testing.assert_allclose(answer_NK.sum(axis=1), 1, rtol=1e-5, err_msg=name)
        assert (answer_NK[:, 3] == 0).all(), "a class without cells"
        assert (answer_NK.argmax(axis=1) == truth_N).mean() > 0.9, name


def test_it_writes_who_called_what(called):
    _, annotated = called
    assert accuracy(annotated) > 0.9
    experts = annotated.obsm[keys.EXPERTS]
    assert list(experts.columns) == list(SIMPLE)
    weights = annotated.uns[keys.FACTS]["expert_weights"]
    assert sum(weights.values()) == pytest.approx(1)
    like = sum(
        (experts[name].astype(str) == annotated.obs[keys.CELL_TYPE].astype(str)) * weight
        for name, weight in weights.items()
    )
    np.testing.assert_allclose(annotated.obs[keys.AGREEMENT], like, atol=1e-6)
    held = [
        called in names.split(" | ")
        for called, names in zip(
            annotated.obs[keys.CELL_TYPE], annotated.obs[keys.TYPE_SET], strict=True
        )
    ]
    assert all(held) and (annotated.obs[keys.DISTANCE] >= 0).all()


def test_the_folder_calls_again_to_the_bit_without_the_reference(called):
    folder, annotated = called
    assert isinstance(Annotator.from_pretrained(folder), ConsensusModel)
    again = tl.annotate(QUERY.copy(), checkpoint=folder, copy=True)
    assert np.array_equal(again.obsm[keys.PROBABILITY], annotated.obsm[keys.PROBABILITY])


def test_a_query_of_fewer_genes_is_called_as_if_the_reference_had_no_others(called, tmp_path):
    folder, _ = called
    part = QUERY[:, ::2].copy()
    reused = tl.annotate(part, checkpoint=folder, copy=True)
    anew = tl.annotate(part, REFERENCE[:, ::2].copy(), label_key="cell_type", copy=True)
    same = reused.obs[keys.CELL_TYPE].astype(str) == anew.obs[keys.CELL_TYPE].astype(str)
    assert accuracy(reused) > 0.8 and same.mean() > 0.9  # weights are those of all genes


def test_a_cell_of_its_own_and_a_few_are_called_without_structure(called):
    folder, _ = called
    for cells in (1, 5):
        few = tl.annotate(QUERY[:cells].copy(), checkpoint=folder, copy=True)
        assert few.obs[keys.CELL_TYPE].notna().all()


def test_values_without_counts_are_called_too(tmp_path):
    cells = [part.copy() for part in (QUERY, REFERENCE)]
    for part in cells:
        part.X = (part.X.multiply(1e4 / part.X.sum(axis=1))).tocsr().log1p()
    kinds = {"ingestion.holds": "log_normalised"}
    options = {"label_key": "cell_type", "copy": True, "params": kinds, "save": tmp_path / "model"}
    annotated = tl.annotate(*cells, **options)
    assert accuracy(annotated) > 0.9
    again = tl.annotate(cells[0], checkpoint=tmp_path / "model", copy=True, params=kinds)
    assert np.array_equal(again.obsm[keys.PROBABILITY], annotated.obsm[keys.PROBABILITY])


@pytest.mark.slow
def test_with_a_pretrained_start_its_states_are_experts_and_their_worth_is_told(called, tmp_path):
    _, without = called
    folder = tmp_path / "model"
    annotated = tl.annotate(
        QUERY.copy(),
        REFERENCE.copy(),
        label_key="cell_type",
        start="scm-tiny",
        save=folder,
        copy=True,
    )
    assert list(annotated.obsm[keys.EXPERTS].columns) == [*SIMPLE, "trunk_regression"]
    assert accuracy(annotated) > 0.9
    unknown = source_vocabulary("scm-tiny")[0].rows_of(REFERENCE.var_names) < 0
    assert unknown.any(), "genes that the checkpoint does not know"
    for name in SIMPLE:  # they read these too
        after, before = annotated.obsm[keys.EXPERTS][name], without.obsm[keys.EXPERTS][name]
        assert (after.astype(str) == before.astype(str)).all()
    again = tl.annotate(QUERY.copy(), checkpoint=folder, copy=True)
    assert np.array_equal(again.obsm[keys.PROBABILITY], annotated.obsm[keys.PROBABILITY])
    fewer = tl.annotate(QUERY[:, ::2].copy(), checkpoint=folder, copy=True)
    assert accuracy(fewer) > 0.8


def test_the_genes_of_a_checkpoint_keep_its_order(tmp_path):
    shipped = from_pretrained("scm-tiny")
    known = shipped.tokenizer.vocabulary
    backwards = Vocabulary("backwards", known.ids[::-1], known.symbols[::-1])
    config = shipped.backbone.config.model_copy(update={"pad_id": backwards.pad_id})
    backbone = Backbone(config)
    backbone.load_state_dict(shipped.backbone.state_dict())
    with torch.no_grad():
        backbone.gene_embedding.weight.copy_(shipped.backbone.gene_embedding.weight.flip(0))
    tokenizer = Tokenizer(backwards, shipped.tokenizer.rules)
    Pretrained(backbone, tokenizer, Heads(expression=False, cell_expression=False)).save_pretrained(
        tmp_path / "backwards"
    )
    folder = str(tmp_path / "backwards")
    params = TokenizationParams(vocabulary=folder)
    valid = valid_cells(REFERENCE, GROUPS_AS_THEY_ARE).valid
    found = tokenizer_of_all(valid, params, folder).vocabulary
    rows = known.rows_of(found.ids)
    there = rows[(rows >= 0) & np.isin(rows, known.gene_rows)]
    others = int((rows < 0).sum())
    assert (np.diff(there) < 0).all() and others and (rows[-others:] < 0).all()
    usual = tokenizer_of_all(valid, TokenizationParams(), None).vocabulary
    assert set(usual.ids) == set(found.ids)


def test_a_reference_that_names_batches_is_judged_by_leaving_them_out(called):
    folder, _ = called
    model = Annotator.from_pretrained(folder)
    assert model.batch_key == "batch"
    predicted_EMK, classes_M = model.left_out()
    assert predicted_EMK.shape == (5, 120, 3) and len(classes_M) == 120
    assert (predicted_EMK.argmax(axis=2) == classes_M).mean() > 0.8
    random_EMK, classes_M = model._stored("alike")
    assert random_EMK.shape == (5, 120, 3) and not np.array_equal(random_EMK, predicted_EMK)
    assert (random_EMK.argmax(axis=2) == classes_M).mean() > 0.8


def test_of_batches_and_random_folds_a_query_like_the_reference_believes_the_folds(called):
    model = Annotator.from_pretrained(called[0])
    right, wrong = (np.eye(3)[(model._stored("alike")[1] + shift) % 3] for shift in (0, 1))
    model._store("alike", np.stack([right] + [wrong] * 4), model._stored("alike")[1])
    truth_M = model.left_out()[1]
    right, wrong = (np.eye(3)[(truth_M + shift) % 3] for shift in (0, 1))
    model._store("left_out", np.stack([wrong, right, wrong, wrong, wrong]), truth_M)
    predicted_ENK = np.random.default_rng(0).dirichlet(np.ones(3), (5, 60))
    alike_E, other_E = (
        model._method_weights(predicted_ENK, Structure(), likeness, 0) for likeness in (0.9, 0.0)
    )
    assert alike_E.argmax() == 0 and other_E.argmax() == 1


def test_names_of_a_type_of_their_own_stay_the_names_of_the_experts_calls(called):
    folder, annotated = called
    query = QUERY.copy()
    query.obs_names = query.obs_names.astype(pd.StringDtype())
    again = tl.annotate(query, checkpoint=folder, copy=True)
    assert list(again.obsm[keys.EXPERTS].index) == list(QUERY.obs_names)
    assert list(again.obs[keys.CELL_TYPE]) == list(annotated.obs[keys.CELL_TYPE])


def test_a_query_like_the_reference_is_judged_by_cells_that_were_left_out(tmp_path):
    reference = REFERENCE.copy()
    del reference.obs["batch"]
    options = {"label_key": "cell_type", "save": tmp_path / "model"}
    tl.annotate(QUERY.copy(), reference, **options)
    model = Annotator.from_pretrained(tmp_path / "model")
    assert model.batch_key is None and not model._count("alike")
    truth_M = model.left_out()[1]
    right = np.eye(3)[truth_M]
    model.left_out_EMK.copy_(torch.from_numpy(np.stack([right] + [np.roll(right, 1, axis=1)] * 4)))
    generator = np.random.default_rng(0)
    predicted_ENK = generator.dirichlet(np.ones(3), (5, 60))
    alike_E, other_E = (
        model._method_weights(predicted_ENK, Structure(), likeness, 0) for likeness in (1.0, 0.0)
    )
    assert alike_E.argmax() == 0 and alike_E[0] > 2 * other_E[0]


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"annotation.head.kept_cells": 0}, "kept_cells"),
        ({"annotation.consensus.experts": ("pooled",)}, "checkpoint"),
    ],
)
def test_a_consensus_of_nobody_is_refused(params, named):
    with pytest.raises(UserError, match=named):
        tl.annotate(QUERY.copy(), REFERENCE.copy(), label_key="cell_type", params=params)


def test_parameters_of_a_network_that_is_not_trained_are_named(caplog, called):
    params = {"annotation.fine_tune.max_epochs": 3, "annotation.consensus.neighbours": 5}
    tl.annotate(QUERY.copy(), REFERENCE.copy(), label_key="cell_type", params=params, copy=True)
    (said,) = [
        record.getMessage() for record in caplog.records if "not used by" in record.getMessage()
    ]
    assert "max_epochs" in said and "neighbours" not in said and "--fit gradient" in said


@pytest.fixture(scope="module")
def joined(tmp_path_factory):
    """What `called` is, with a network beside the methods."""
    folder = tmp_path_factory.mktemp("joined") / "model"
    options = {"label_key": "cell_type", "fit": "gradient", "save": folder, "params": SHORT}
    annotated = tl.annotate(QUERY.copy(), REFERENCE.copy(), copy=True, **options)
    return folder, Annotator.from_pretrained(folder), annotated


def test_a_network_joins_and_leaves_the_methods_as_they_are(called, joined):
    _, without = called
    _, model, annotated = joined
    experts, before = annotated.obsm[keys.EXPERTS], without.obsm[keys.EXPERTS]
    assert list(experts.columns) == [*SIMPLE, "fine_tuned"] == list(model.experts)
    assert experts[list(SIMPLE)].astype(str).equals(before.astype(str))
    weights, alone = (one.uns[keys.FACTS]["expert_weights"] for one in (annotated, without))
    share = weights["fine_tuned"]
    assert 0 < share < 1 and sum(weights.values()) == pytest.approx(1)
    for name in SIMPLE:
        assert weights[name] == pytest.approx(alone[name] * (1 - share)), name
    assert accuracy(annotated) > 0.9


def test_a_network_reads_the_cells_as_if_it_were_alone(joined):
    _, model, _ = joined
    valid = valid_cells(QUERY, GROUPS_AS_THEY_ARE).valid
    narrow = model.network.tokenizer
    assert len(narrow.vocabulary.gene_rows) == 60 < len(model.tokenizer.vocabulary.gene_rows)
    anew = model.learner_tokens(annotation_tokens(valid, model.tokenizer))
    own = annotation_tokens(valid, narrow)
    for name in ("gene_rows", "bins", "values", "offsets"):
        assert np.array_equal(getattr(anew, name), getattr(own, name)), name


def test_a_network_is_judged_by_cells_that_it_did_not_learn_from(joined):
    _, model, _ = joined
    classes_M = model.unlearnt_classes_M.numpy()
    assert model.unlearnt_EMK.shape == (6, 18, 3) and len(classes_M) == 18  # 15 % of 120
    np.testing.assert_allclose(model.unlearnt_EMK.sum(dim=2), 1, rtol=1e-5)
    right = (model.unlearnt_EMK[:5].argmax(dim=2).numpy() == classes_M).mean(axis=1)
    assert (right > 0.7).all(), "the methods call them too"


@pytest.mark.parametrize("right_of_unlearnt", [True, False])
@pytest.mark.parametrize("right_of_query", [True, False])
def test_a_network_counts_by_what_the_query_is_like(joined, right_of_unlearnt, right_of_query):
    """Of a query like the reference unlearnt cells decide alone, of another its structure alone."""
    model = copy.deepcopy(joined[1])

    def calls(classes, right):
        network = np.eye(3)[classes if right else np.zeros_like(classes)]
        methods = np.eye(3)[np.where(np.arange(len(classes)) % 2, classes, 0)]
        return np.stack([methods] * 5 + [network])

    of_unlearnt = calls(model.unlearnt_classes_M.numpy(), right_of_unlearnt)
    clusters = np.arange(60) // 20
    inputs = calls(clusters, right_of_query), np.full(5, 0.2), Structure(clusterings=[clusters])
    unlearnt = of_unlearnt, model.unlearnt_classes_M.numpy()
    for likeness, right in ((1.0, right_of_unlearnt), (0.0, right_of_query)):
        weight_E = weight_network(*inputs, likeness, unlearnt, model.consensus, 0)
        assert weight_E.sum() == pytest.approx(1) and np.ptp(weight_E[:5]) < 1e-12
        assert weight_E[-1] > 0.6 if right else weight_E[-1] < 0.4


@pytest.mark.parametrize(
    "mode", ["full", *(pytest.param(mode, marks=pytest.mark.slow) for mode in ("lora", "frozen"))]
)
def test_a_folder_with_a_network_calls_again_to_the_bit(joined, tmp_path, mode):
    folder, _, annotated = joined
    if mode != "full":  # from a pretrained checkpoint
        folder = tmp_path / "model"
        params = {"annotation.fine_tune.max_epochs": 1, "annotation.fine_tune.mode": mode}
        options = {"label_key": "cell_type", "fit": "gradient", "save": folder, "params": params}
        cells = QUERY.copy(), REFERENCE.copy()
        annotated = tl.annotate(*cells, start="scm-tiny", copy=True, **options)
    again = tl.annotate(QUERY.copy(), checkpoint=folder, copy=True)
    assert np.array_equal(again.obsm[keys.PROBABILITY], annotated.obsm[keys.PROBABILITY])
    assert again.obsm[keys.EXPERTS].equals(annotated.obsm[keys.EXPERTS])
    assert list(again.obsm[keys.EXPERTS].columns)[-1] == "fine_tuned"


def test_a_network_meets_a_query_of_fewer_genes_with_a_head_of_these(joined):
    folder, model, _ = joined
    part, before = QUERY[:, ::2].copy(), model.sha256()
    genes = valid_cells(part, GROUPS_AS_THEY_ARE).valid.var_names.to_numpy()
    reader = read_genes(model, genes, PredictParams(), ComputeOptions(device="cpu"))
    assert reader.network.head.fit == "linear" and model.network.head.fit == "gradient"
    assert model.sha256() == before
    assert accuracy(tl.annotate(part, checkpoint=folder, copy=True)) > 0.8


def test_a_type_that_one_batch_alone_has_does_not_judge_the_others(tmp_path):
    reference = REFERENCE.copy()
    types = reference.obs["cell_type"].astype(str)
    alone = sorted(types.unique())[0]
    reference.obs["batch"] = np.where(types == alone, "a", np.resize(["a", "b", "c"], len(types)))
    folder = tmp_path / "model"
    tl.annotate(QUERY.copy(), reference, label_key="cell_type", batch_key="batch", save=folder)
    model = Annotator.from_pretrained(folder)
    predicted_EMK, classes_M = model.left_out()
    assert alone not in {model.labels[at] for at in classes_M}
    assert len(classes_M) == (types != alone).sum()
    assert (predicted_EMK[:, np.arange(len(classes_M)), classes_M] > 0).any(axis=0).all()
    assert model.calibration.set_threshold > 0.05


def test_batches_that_are_types_are_no_judges_and_random_parts_take_their_place(tmp_path):
    reference = REFERENCE.copy()
    reference.obs["batch"] = reference.obs["cell_type"].astype(str)
    folder = tmp_path / "model"
    tl.annotate(QUERY.copy(), reference, label_key="cell_type", batch_key="batch", save=folder)
    model = Annotator.from_pretrained(folder)
    assert model.batch_key is None and model._count("left_out") == 120
    assert model.calibration.cells == 120 and np.isfinite(model.farthest(0.99))


def test_a_folder_from_before_the_shift_calls_as_it_did(called):
    folder, _ = called
    model = Annotator.from_pretrained(folder)
    assert isinstance(model, ConsensusModel) and model.consensus.shift == 1.0
    settings = model.settings()
    del settings["consensus"]["shift"]
    old = ConsensusModel.from_settings(model.backbone, model.tokenizer, settings)
    assert old.consensus.shift == 0.0
