"""Shapes: what is refused, with which words, and what the presets are."""

import pytest
import torch
from pydantic import ValidationError

from sc_mamba2.errors import UserError
from sc_mamba2.model import (
    PRESETS,
    Backbone,
    CellExpressionDecoder,
    ExpressionDecoder,
    ModelConfig,
    preset,
)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"head_dim": 48}, "head_dim 48 does not divide expand \\* d_model = 128"),
        ({"pad_id": 9}, "pad_id 9 is not below 5 tokens"),
        ({"norm": "none"}, "final_norm needs a norm"),
        ({"dropout": 1.0}, "dropout: Input should be less than 1"),
        ({"n_heads": 3}, "n_heads: Extra inputs are not permitted"),
        ({"norm": "batch"}, "norm: Input should be 'none', 'layer' or 'rms'"),
    ],
)
def test_wrong_fields_are_refused_by_name(fields, words):
    with pytest.raises(UserError, match=words) as caught:
        preset("micro", 5, **fields)
    assert caught.value.rule == "model-config"


def test_a_config_is_frozen_and_every_field_is_described():
    with pytest.raises(ValidationError, match="frozen"):
        preset("micro", 5).d_model = 3
    assert all(field.description for field in ModelConfig.model_fields.values())


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_json(name):
    config = preset(name, 100)
    assert ModelConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("name", "layers", "width"),
    [("micro", 2, 64), ("tiny", 4, 128), ("small", 8, 256), ("base", 12, 512)],
)
def test_own_presets(name, layers, width):
    config = preset(name, 100)
    assert (config.n_layers, config.d_model) == (layers, width)
    assert (config.norm, config.norm_position, config.final_norm) == ("rms", "pre", True)
    assert (config.input_norm, config.feed_forward) == ("layer", 0)


def test_the_released_shape_has_the_parameters_that_the_paper_names():
    with torch.device("meta"):
        release = Backbone(preset("upstream-625m", 60_533))
        heads = count(ExpressionDecoder(1536)) + count(CellExpressionDecoder(1536))
        figure = Backbone(preset("figure", 60_533))
        untied = Backbone(preset("upstream-625m", 60_533, tied_directions=False))
    assert count(release) + heads == pytest.approx(624.8e6, abs=0.1e6)
    assert count(figure) + heads == pytest.approx(795e6, abs=1e6)
    assert count(untied) + heads == pytest.approx(1.14e9, abs=0.01e9)


def test_an_unknown_preset_names_its_neighbour():
    with pytest.raises(UserError, match="did you mean 'micro'") as caught:
        preset("mikro", 5)
    assert caught.value.rule == "preset"
