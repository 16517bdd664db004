"""The step-by-step scan against the sum that it stands for."""

import torch

from sc_mamba2.ops import ssd_reference


def test_it_is_the_sum_over_earlier_tokens():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 7, 3, 4, dtype=torch.float64, generator=generator)
    dt = torch.rand(2, 7, 3, dtype=torch.float64, generator=generator)
    A = -torch.rand(3, dtype=torch.float64, generator=generator) - 0.1
    B = torch.randn(2, 7, 5, dtype=torch.float64, generator=generator)
    C = torch.randn(2, 7, 5, dtype=torch.float64, generator=generator)
    D = torch.randn(3, dtype=torch.float64, generator=generator)
    y = ssd_reference(x, dt, A, B, C, D)
    for t in range(7):
        expected = D[:, None] * x[:, t]
        for j in range(t + 1):
            decay = torch.exp((dt[:, j + 1 : t + 1] * A).sum(1))
            weight = (C[:, t] * B[:, j]).sum(-1, keepdim=True) * decay * dt[:, j]
            expected = expected + weight[..., None] * x[:, j]
        torch.testing.assert_close(y[:, t], expected, rtol=1e-12, atol=1e-12)


def test_a_zero_step_leaves_the_state():
    x = torch.randn(1, 6, 1, 2, dtype=torch.float64)
    dt = torch.tensor([0.5, 0.3, 0.0, 0.0, 0.4, 0.2], dtype=torch.float64).view(1, 6, 1)
    A, D = torch.tensor([-1.0]).double(), torch.zeros(1).double()
    B, C = torch.randn(1, 6, 3, dtype=torch.float64), torch.randn(1, 6, 3, dtype=torch.float64)
    kept = [0, 1, 4, 5]
    whole = ssd_reference(x, dt, A, B, C, D)
    short = ssd_reference(x[:, kept], dt[:, kept], A, B[:, kept], C[:, kept], D)
    torch.testing.assert_close(whole[:, kept], short, rtol=1e-14, atol=1e-14)
