"""The layer's options: where the norm stands, feed forward, tied and untied directions."""

import pytest
import torch

from sc_mamba2.model import BidirectionalLayer, preset

LENGTHS = torch.tensor([12, 5])


def make(**overrides):
    torch.manual_seed(0)
    return BidirectionalLayer(preset("micro", 9, **overrides)).double()


def rows():
    return torch.randn(
        2, 12, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    ).masked_fill(~(torch.arange(12) < LENGTHS[:, None]).unsqueeze(-1), 0)


def real(x):
    return x[torch.arange(12) < LENGTHS[:, None]]


def test_pre_norm():
    layer, x = make(), rows()
    expected = x + layer.mixer.both(layer.norm(x), LENGTHS)
    torch.testing.assert_close(layer(x, LENGTHS), expected)


def test_post_norm_and_feed_forward():
    layer, x = make(norm="layer", norm_position="post", feed_forward=32), rows()
    mixed = layer.norm(x + layer.mixer.both(x, LENGTHS))
    expected = layer.feed_forward_norm(mixed + layer.feed_forward(mixed))
    torch.testing.assert_close(layer(x, LENGTHS), expected)


def test_the_release_form_adds_the_average_of_both_directions():
    layer, x = make(norm="none", final_norm=False), rows()
    average = (layer.mixer(x, LENGTHS) + layer.mixer(x, LENGTHS, reverse=True)) / 2
    torch.testing.assert_close(layer(x, LENGTHS), x + average, rtol=1e-12, atol=1e-12)
    assert [name for name, _ in layer.named_parameters() if not name.startswith("mixer.")] == []


@pytest.mark.parametrize("path", ["blocked", "reference"])
def test_untied_directions_have_a_mixer_each(path):
    layer, x = make(tied_directions=False, norm="none", final_norm=False), rows()
    ahead = layer.mixer(x, LENGTHS, path)
    back = layer.backward_mixer(x, LENGTHS, path, reverse=True)
    torch.testing.assert_close(layer(x, LENGTHS, path), x + (ahead + back) / 2)
    layer.backward_mixer.load_state_dict(layer.mixer.state_dict())
    tied = x + layer.mixer.both(x, LENGTHS)
    torch.testing.assert_close(real(layer(x, LENGTHS, path)), real(tied), rtol=1e-11, atol=1e-11)


def test_dropout_acts_in_training_only():
    layer, x = make(dropout=0.5), rows()
    assert not torch.equal(layer(x, LENGTHS), layer(x, LENGTHS))
    layer.eval()
    assert torch.equal(layer(x, LENGTHS), layer(x, LENGTHS))
