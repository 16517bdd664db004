"""A block's convolution is torch's, across block borders too, and so are its gradients."""

import pytest
import torch

from sc_mamba2.ops.blocks.convolution import convolve_block, convolve_block_backward, last_tokens


@pytest.mark.parametrize("sizes", [[9], [1], [2, 1, 1, 7], [5, 4], [1, 1, 1, 1]])
@pytest.mark.parametrize("taps", [1, 2, 4])
def test_blocks_equal_one_convolution(sizes, taps):
    torch.manual_seed(0)
    x = torch.randn(3, sum(sizes), 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(5, 1, taps, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(5, dtype=torch.float64, requires_grad=True)
    padded = torch.nn.functional.pad(x.mT, (taps - 1, 0))
    expected = torch.nn.functional.conv1d(padded, weight, bias, groups=5).mT
    pull = torch.randn_like(expected)
    gradients = torch.autograd.grad((expected * pull).sum(), (x, weight, bias))

    taps_KC = weight[:, 0].t().detach()
    blocks = x.detach().split(sizes, dim=1)
    befores, found = [torch.zeros(3, taps - 1, 5, dtype=torch.float64)], []
    for block in blocks:
        found.append(convolve_block(block, befores[-1], taps_KC, bias.detach()))
        befores.append(last_tokens(block, befores[-1]))
    torch.testing.assert_close(torch.cat(found, 1), expected.detach(), rtol=1e-12, atol=1e-12)

    after, parts = torch.zeros_like(befores[0]), []
    for block, before, du in zip(
        blocks[::-1], befores[-2::-1], pull.split(sizes, 1)[::-1], strict=True
    ):
        parts.insert(0, convolve_block_backward(du, block, before, after, taps_KC))
        after = parts[0].du_RKC
    dx = torch.cat([part.dx_RTC for part in parts], dim=1)
    dweight = sum(part.dtaps_KC for part in parts).t().unsqueeze(1)
    dbias = sum(part.dbias_C for part in parts)
    for ours, theirs in zip((dx, dweight, dbias), gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
