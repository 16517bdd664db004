"""The state-space recurrence of Mamba2, one token after the other: the readable twin of `chunked`.

B rows, L tokens, H heads, P head dim, N state.
"""

import torch
from torch import Tensor


def ssd_reference(
    x_BLHP: Tensor, dt_BLH: Tensor, A_H: Tensor, B_BLN: Tensor, C_BLN: Tensor, D_H: Tensor
) -> Tensor:
    """Run the recurrence of one group, step by step.

    ``h_t = exp(dt_t A) h_(t-1) + dt_t x_t B_t``, ``y_t = C_t h_t + D x_t``, ``h_0 = 0``
    (arXiv 2405.21060).

    Parameters
    ----------
    x_BLHP
        Inputs, (B, L, H, P).
    dt_BLH
        Time steps after softplus, (B, L, H), not negative; 0 leaves the state as it is.
    A_H
        Decay rates, (H,), negative.
    B_BLN, C_BLN
        What is written to and read from the state, (B, L, N), shared by the heads.
    D_H
        Weight of the direct path, (H,).

    Returns
    -------
    Tensor
        (B, L, H, P).
    """
    rows, length, heads, width = x_BLHP.shape
    state_BHPN = x_BLHP.new_zeros(rows, heads, width, B_BLN.shape[-1])
    outputs = []
    for t in range(length):
        decay_BH = torch.exp(dt_BLH[:, t] * A_H)
        input_BHP = dt_BLH[:, t, :, None] * x_BLHP[:, t]
        written_BHPN = input_BHP[..., None] * B_BLN[:, t, None, None, :]
        state_BHPN = decay_BH[..., None, None] * state_BHPN + written_BHPN
        read_BHP = (state_BHPN @ C_BLN[:, t, None, :, None]).squeeze(-1)
        outputs.append(read_BHP + D_H[:, None] * x_BLHP[:, t])
    return torch.stack(outputs, dim=1) if outputs else x_BLHP.clone()
