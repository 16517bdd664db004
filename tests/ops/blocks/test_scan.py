"""The run over blocks: block sizes, what is kept, what gets a gradient."""

import pytest
import torch
from tests.ops.mixers import INNER, PACKED, RAGGED, mixer_tensors, relative, rows_for, weights_of

from sc_mamba2.ops.blocks import scan_in_blocks


@pytest.mark.parametrize("lengths", [*RAGGED, *PACKED])
def test_the_block_does_not_matter(lengths):
    lengths = torch.tensor(lengths)
    tensors, x = mixer_tensors(), rows_for(lengths).requires_grad_()
    pull = rows_for(lengths, seed=2, width=INNER)
    results = []
    for tokens in (64, 128, 1024):
        y = scan_in_blocks(x, lengths, weights_of(tensors), [False, True], tokens)
        results.append([y, *torch.autograd.grad((y * pull).sum(), [x, *tensors])])
    for other in results[1:]:
        for found, expected in zip(other, results[0], strict=True):
            assert relative(found, expected) < 1e-12


def test_only_what_is_trained_gets_a_gradient():
    lengths, tensors = torch.tensor([9]), mixer_tensors()
    for tensor in tensors[1:]:
        tensor.requires_grad_(False)
    scan_in_blocks(rows_for(lengths), lengths, weights_of(tensors), [True]).sum().backward()
    assert tensors[0].grad is not None
    assert all(tensor.grad is None for tensor in tensors[1:])


def test_what_is_kept_for_the_gradient_is_the_input_and_a_state_a_border():
    kept = []
    lengths, tensors = torch.tensor([640]), mixer_tensors()
    x = rows_for(lengths, pads=0).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(
        lambda part: kept.append(part) or part, lambda p: p
    ):
        scan_in_blocks(x, lengths, weights_of(tensors), [False, True], 64)
    states = [part for part in kept if part.dim() == 4]
    assert [len(part) for part in states] == [9, 9]
    others = sum(part.numel() for part in kept if part.dim() < 4)
    assert others == x.numel() + sum(tensor.numel() for tensor in tensors)


def test_autocast_leaves_the_scan_in_single_precision():
    lengths, tensors = torch.tensor([50]), mixer_tensors(dtype=torch.float32)
    x = rows_for(lengths, dtype=torch.float32)
    expected = scan_in_blocks(x, lengths, weights_of(tensors), [False])
    with torch.autocast("cpu", torch.bfloat16):
        found = scan_in_blocks(x, lengths, weights_of(tensors), [False])
    assert torch.equal(found, expected)
