"""What a Mamba2 mixer does between `in_proj` and `out_proj`, in one direction and in both.

The one door to the paths of the scan. Pads change nothing and their outputs are zero. B rows,
L tokens, E projected width (z, x, B, C, dt in this order), I inner width, S cells of a packed row.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sc_mamba2.ops.blocks import scan_in_blocks
from sc_mamba2.ops.dispatch import ScanPath, choose_path
from sc_mamba2.ops.kernels import scan_with_kernels
from sc_mamba2.ops.reference import scan_reference
from sc_mamba2.ops.weights import MixerWeights


def bidirectional_scan(
    zxbcdt_BLE: Tensor, lengths: Tensor, weights: MixerWeights, path: ScanPath = "auto"
) -> Tensor:
    """Run one mixer in both directions over the real tokens and average.

    ``(g_forward + flip(g_backward)) / 2``, where the backward direction sees each cell by smart
    flip. `out_proj` has no bias, so projecting this average once is exact.

    Parameters
    ----------
    zxbcdt_BLE
        Output of `in_proj`, (B, L, E): z, x, B, C, dt.
    lengths
        Real tokens of each row, (B,), or of each cell of packed rows, (B, S); see `rows`.
    weights
        The mixer's weights.
    path
        Path of the scan; see `dispatch`.

    Returns
    -------
    Tensor
        (B, L, I), zero at pads, of the type of `zxbcdt_BLE`. Differentiable once.
    """
    return _scan(zxbcdt_BLE, lengths, weights, path, [False, True])


def directional_scan(
    zxbcdt_BLE: Tensor,
    lengths: Tensor,
    weights: MixerWeights,
    path: ScanPath = "auto",
    reverse: bool = False,
) -> Tensor:
    """Run a mixer in one direction over the real tokens.

    Parameters
    ----------
    zxbcdt_BLE, lengths, weights, path
        As in `bidirectional_scan`.
    reverse
        Each cell from its last real token to its first; the output stands in the order of the
        input.

    Returns
    -------
    Tensor
        (B, L, I), zero at pads.
    """
    return _scan(zxbcdt_BLE, lengths, weights, path, [reverse])


def _scan(
    zxbcdt_BLE: Tensor,
    lengths: Tensor,
    weights: MixerWeights,
    path: ScanPath,
    directions: Sequence[bool],
) -> Tensor:
    chosen = choose_path(path, zxbcdt_BLE.device, zxbcdt_BLE.dtype)
    if chosen == "blocked":
        return scan_in_blocks(zxbcdt_BLE, lengths, weights, directions)
    one_way = scan_with_kernels if chosen == "kernels" else scan_reference
    given_BLE = zxbcdt_BLE
    if chosen == "reference":
        given_BLE, weights = _in_single(zxbcdt_BLE, weights)
    # Autocast gives half-precision projections; the scan needs its weights as they are.
    with torch.autocast(zxbcdt_BLE.device.type, enabled=False):
        ways = [one_way(given_BLE, lengths, weights, reverse) for reverse in directions]
        average_BLI = torch.stack(ways).mean(0) if len(ways) > 1 else ways[0]
    return average_BLI.to(zxbcdt_BLE.dtype)


def _in_single(zxbcdt_BLE: Tensor, weights: MixerWeights) -> tuple[Tensor, MixerWeights]:
    """Half precision is a form of storage only, as in the blocked path."""
    named = {name: part for name, part in weights._asdict().items() if isinstance(part, Tensor)}
    kind = torch.float32
    for part in (zxbcdt_BLE, *named.values()):
        kind = torch.promote_types(kind, part.dtype)
    raised: dict[str, Any] = {name: part.to(kind) for name, part in named.items()}
    return zxbcdt_BLE.to(kind), weights._replace(**raised)
