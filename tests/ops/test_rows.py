"""The smart flip reverses the real tokens only."""

import torch
from hypothesis import given, settings, strategies as st

from sc_mamba2.ops import real_tokens, smart_flip


def test_rows_by_hand():
    x = torch.tensor([[1, 2, 3, 9], [4, 9, 8, 7], [5, 6, 7, 8]])
    flipped = smart_flip(x, torch.tensor([3, 1, 4]))
    assert flipped.tolist() == [[3, 2, 1, 9], [4, 9, 8, 7], [8, 7, 6, 5]]


@given(length=st.integers(1, 12), data=st.data())
@settings(max_examples=40, deadline=None)
def test_it_is_its_own_inverse_and_leaves_pads(length, data):
    lengths = torch.tensor(data.draw(st.lists(st.integers(0, length), min_size=1, max_size=4)))
    x = torch.randn(len(lengths), length, 2)
    flipped = smart_flip(x, lengths)
    assert torch.equal(smart_flip(flipped, lengths), x)
    for row, kept in enumerate(lengths.tolist()):
        assert torch.equal(flipped[row, :kept], x[row, :kept].flip(0))
        assert torch.equal(flipped[row, kept:], x[row, kept:])


def test_real_tokens():
    assert real_tokens(torch.tensor([2, 0]), 3).tolist() == [[True, True, False], [False] * 3]
