"""The running mean of weights."""

import torch

from sc_mamba2.training.optimization import MovingAverage


def test_it_forgets_the_start_soon_and_then_follows_its_decay():
    model = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(100.0)
    average = MovingAverage(model, 0.9)
    expected = 100.0
    for step in range(200):
        with torch.no_grad():
            model.weight.fill_(float(step % 3))
        average.update(model, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * (step % 3)
    assert abs(float(average.state["weight"]) - expected) < 1e-5
    assert expected < 2


def test_it_stands_in_for_the_weights_for_a_while():
    model = torch.nn.Linear(2, 2)
    average = MovingAverage(model, 0.5)
    kept = {name: part.clone() for name, part in average.state.items()}
    with torch.no_grad():
        model.weight.zero_()
    with average.in_place_of(model):
        assert torch.equal(model.weight, kept["weight"])
    assert not model.weight.any()
    nothing = MovingAverage(model, 0.0)
    with nothing.in_place_of(model):
        assert not model.weight.any()
