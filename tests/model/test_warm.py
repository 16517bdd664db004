"""Ahead of the first run on a GPU: every shape is run forward and in training."""

import pytest
import torch

from sc_mamba2.errors import UserError
from sc_mamba2.model import warm


def test_every_shape_is_run_both_ways(monkeypatch):
    seen = []
    both = warm.Mamba2Mixer.both

    def watched(mixer, x_BLD, lengths):
        seen.append((*x_BLD.shape[:2], torch.is_grad_enabled()))
        return both(mixer, x_BLD, lengths)

    monkeypatch.setattr(warm, "_SHAPES", ((2, 16), (1, 40)))
    monkeypatch.setattr(warm.Mamba2Mixer, "both", watched)
    assert warm.warm_up("micro", torch.device("cpu")) == 4
    assert seen == [(2, 16, False), (2, 16, True), (1, 40, False), (1, 40, True)]


def test_a_preset_that_is_not_one_is_refused():
    with pytest.raises(UserError, match="preset"):
        warm.warm_up("huge", torch.device("cpu"))
