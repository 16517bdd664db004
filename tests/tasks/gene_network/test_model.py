"""The model that scores, its untrained twin, cosines of embeddings."""

import numpy as np
import pytest

from sc_mamba2.errors import UserError
from sc_mamba2.model import Backbone, Heads, PretrainedModel
from sc_mamba2.tasks.gene_network.model import cosines, read_model, untrained_like
from sc_mamba2.training import ComputeOptions


def test_cosines_are_of_the_embeddings(model):
    table = model.backbone.gene_embedding.weight.detach().numpy()
    one, other = table[3], table[5]
    expected = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert cosines(model, np.array([3]), np.array([5]))[0, 0] == pytest.approx(expected)


def test_the_untrained_model_is_another_and_follows_the_seed(model):
    weights = [
        untrained_like(model, seed).backbone.gene_embedding.weight.detach().numpy()
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.allclose(weights[0], weights[2])


def test_a_model_without_the_head_is_refused_and_others_know_their_folder(model, tmp_path):
    model = model.float()
    model.save_pretrained(tmp_path / "whole")
    read = read_model(str(tmp_path / "whole"), ComputeOptions(scan_path="reference"))
    assert read.backbone.scan_path == "reference" and len(read.checkpoint_sha256) == 64
    assert untrained_like(read, 0).backbone.scan_path == "reference"
    heads = Heads(cell_expression=False)
    bare = PretrainedModel(Backbone(model.backbone.config), model.tokenizer, heads)
    bare.save_pretrained(tmp_path / "bare")
    with pytest.raises(UserError) as refusal:
        read_model(str(tmp_path / "bare"), ComputeOptions())
    assert refusal.value.rule == "checkpoint-heads"
