"""From fine-tuning in every mode to calls: what is saved predicts the same, and knows what it learnt."""

import json

import numpy as np
import pytest

from sc_mamba2.cells import simulate_cells, standardise
from sc_mamba2.genes import load_gene_table
from sc_mamba2.tasks.annotation.annotator import Calibration
from sc_mamba2.tasks.annotation.baselines import variant
from sc_mamba2.tasks.annotation.fit import attach_head, calibrate, split_validation
from sc_mamba2.tasks.annotation.model import AnnotationModel
from sc_mamba2.tasks.annotation.params import CallParams, HeadParams, LabelParams
from sc_mamba2.tasks.annotation.predict import call_cells
from sc_mamba2.tasks.annotation.split import hold_out
from sc_mamba2.tasks.shared.backbone import fine_tune, load_or_build_backbone, predict
from sc_mamba2.tasks.shared.params import (
    BackboneParams,
    FineTuneParams,
    PredictParams,
    TokenizationParams,
)
from sc_mamba2.tasks.shared.tokenization import fit_tokenizer, tokenize_cells
from sc_mamba2.training import ComputeOptions

COMPUTE, PREDICTION = ComputeOptions(), PredictParams()


@pytest.fixture(scope="module")
def cells():
    return standardise(simulate_cells(80, 80), load_gene_table())[0]


@pytest.fixture(scope="module")
def rollup(tmp_path_factory):
    path = tmp_path_factory.mktemp("rollup") / "broad.json"
    path.write_text(json.dumps({"alpha": "left", "beta": "left", "gamma": "right"}))
    return str(path)


HOT = Calibration(temperature=1.7, cells=10)  # of so few cells cross-fitting may apply none


def fitted(cells, labels: LabelParams, calls: CallParams, **options):
    training, query, _ = hold_out(cells, labels, COMPUTE)
    tokenizer = fit_tokenizer(training, query, TokenizationParams())
    tokens = tokenize_cells(training, tokenizer)
    learnt, chosen = split_validation(tokens, labels, COMPUTE)
    backbone = load_or_build_backbone(tokenizer, learnt, BackboneParams(), COMPUTE)
    model = attach_head(backbone, tokenizer, learnt, HeadParams(), labels, COMPUTE)
    params = FineTuneParams(max_epochs=2, least_depth=0.5, **options)
    model, _ = fine_tune(model, learnt, chosen, params, COMPUTE)
    model = calibrate(model, chosen, calls, PREDICTION, COMPUTE)
    return model, tokenize_cells(query, tokenizer)


@pytest.mark.parametrize("mode", ["full", "lora", "frozen"])
def test_saved_it_predicts_new_cells_equal_to_the_run_that_trained_it(
    cells, rollup, tmp_path, mode
):
    labels = LabelParams(key="cell_type", rollup=rollup)
    model, query = fitted(cells, labels, CallParams(), mode=mode, lora_rank=2)
    model.calibration = HOT
    model.save_pretrained(tmp_path / "model")
    loaded = AnnotationModel.from_pretrained(tmp_path / "model")
    assert loaded.calibration == model.calibration and loaded.calibration.temperature != 1
    assert not any("lora" in name for name in loaded.state_dict())
    outputs = [predict(m, query, PREDICTION, COMPUTE) for m in (model, loaded)]
    for name in ("probability", "energy", "embedding"):
        assert np.array_equal(outputs[0][name], outputs[1][name]), name
    plain = LabelParams(key="cell_type")  # the mapping of the checkpoint is used
    tables = [
        call_cells(outputs[at], m, query, CallParams(), given, COMPUTE)[0]
        for at, (m, given) in enumerate([(model, labels), (loaded, plain)])
    ]
    assert tables[0].equals(tables[1]) and set(tables[0]["scm_cell_type_broad"]) <= {
        "left",
        "right",
    }


def test_calibration_scales_the_probabilities_and_leaves_the_calls(cells):
    labels = LabelParams(key="cell_type")
    plain, query = fitted(cells, labels, CallParams(calibrate=False))
    scaled, _ = fitted(cells, labels, CallParams())
    scaled.calibration = HOT
    assert plain.calibration.temperature == 1 and plain.sha256() == scaled.sha256()
    first, second = (predict(m, query, PREDICTION, COMPUTE)["probability"] for m in (plain, scaled))
    assert np.array_equal(first.argmax(axis=1), second.argmax(axis=1))
    powers = first.astype(np.float64) ** (1 / scaled.calibration.temperature)
    assert np.allclose(second, powers / powers.sum(axis=1, keepdims=True), atol=1e-5)


def test_the_frozen_variant_trains_the_embedding_only_where_the_model_does(cells):
    model, _ = fitted(cells, LabelParams(key="cell_type"), CallParams())
    for mode, trains in (("full", True), ("lora", False), ("frozen", False)):
        made, params = variant("trunk_frozen", model, FineTuneParams(mode=mode), 0)
        assert params.mode == ("full" if trains else "frozen")
        assert made.backbone.gene_embedding.weight.requires_grad
        assert made.backbone.layers[0].mixer.D.requires_grad is not trains
        assert model.backbone.layers[0].mixer.D.requires_grad
