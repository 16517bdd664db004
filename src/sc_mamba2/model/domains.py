"""Batches of cells (domains): an adversary, a norm with per-batch statistics, and a measure of mixing.

B cells, E width of a cell embedding, K batches.
"""

from typing import Any

import torch
from torch import Tensor, nn


class GradientReversal(torch.autograd.Function):
    """The identity, with a gradient multiplied by ``-strength``."""

    @staticmethod
    def forward(context: Any, x: Tensor, strength: float) -> Tensor:
        """Return `x` unchanged."""
        context.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Reverse and scale the gradient."""
        return -context.strength * gradient, None


def reverse_gradient(x: Tensor, strength: float = 1.0) -> Tensor:
    """Return `x` unchanged, with a reversed gradient: layers before it are trained against those after it.

    The reversed gradient is multiplied by `strength`, at least 0; 0 stops it (Ganin et al. 2016,
    "Domain-adversarial training of neural networks").
    """
    return GradientReversal.apply(x, strength)


class BatchDiscriminator(nn.Module):
    """Classifier of a cell's batch (K classes) from its embedding (width E), behind gradient reversal."""

    def __init__(self, cell_width: int, n_batches: int, hidden: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        width = cell_width
        for _ in range(2):
            self.layers.extend([nn.Linear(width, hidden), nn.LeakyReLU(), nn.LayerNorm(hidden)])
            width = hidden
        self.out_layer = nn.Linear(width, n_batches)

    def forward(self, cell_BE: Tensor, strength: float = 1.0) -> Tensor:
        """Compute logits of the batches, (B, E) to (B, K); the gradient to `cell_BE` is reversed."""
        logits_BK: Tensor = self.out_layer(self.layers(reverse_gradient(cell_BE, strength)))
        return logits_BK


class DomainNorm(nn.Module):
    """``(x - mean[k]) / std[k] * weight + bias``, with k the batch of the cell.

    The paper, after Chang et al. 2019 ("Domain-specific batch normalization"), has one BatchNorm per batch
    on the embedded tokens. Here the norm is applied to the cell embedding: it corrects the result itself,
    each cell counts once whatever its length, and the backbone does not depend on batches, so any
    checkpoint can be used.

    Training uses the moments of the step's cells of that batch and updates running ones, which evaluation
    uses, so that a cell does not depend on the others; so does a batch with fewer than two cells in a step.
    Weight and bias are shared, so that they cannot reintroduce batch effects.

    Parameters
    ----------
    width, n_domains
        E and K; with K = 1 it is an ordinary BatchNorm.
    momentum
        Weight of the new moments in the running ones, 0 to 1.
    eps
        Added to the variance, above 0.
    shared_scale
        Whether all domains share the pooled within-domain variance and only the means differ: for domains
        that lack some cell types, whose small variance is not a batch effect.
    """

    def __init__(
        self,
        width: int,
        n_domains: int,
        momentum: float = 0.1,
        eps: float = 1e-5,
        shared_scale: bool = False,
    ) -> None:
        super().__init__()
        self.momentum, self.eps, self.shared_scale = momentum, eps, shared_scale
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.zeros(n_domains, width))
        self.register_buffer("running_var", torch.ones(n_domains, width))

    def forward(self, x_BE: Tensor, domain_B: Tensor) -> Tensor:
        """Normalise cells, (B, E), each by the moments of its domain, (B,) 0 to K - 1."""
        mean_KE, var_KE = self.running_mean.to(x_BE.dtype), self.running_var.to(x_BE.dtype)
        if self.training:
            mean_KE, var_KE = self._moments(x_BE, domain_B)
        normed_BE = (x_BE - mean_KE[domain_B]) * (var_KE[domain_B] + self.eps).rsqrt()
        return normed_BE * self.weight + self.bias

    @torch.no_grad()
    def start(self, x_NE: Tensor, domain_N: Tensor) -> None:
        """Set the running moments to those of the given cells, at least two per domain."""
        for domain in range(len(self.running_mean)):
            own_BE = x_NE[domain_N == domain]
            self.running_mean[domain] = own_BE.mean(dim=0)
            self.running_var[domain] = own_BE.var(dim=0)
        if self.shared_scale:
            count_K = torch.bincount(domain_N, minlength=len(self.running_mean)).to(x_NE)
            self.running_var.copy_(_pooled(self.running_var, count_K))

    def _moments(self, x_BE: Tensor, domain_B: Tensor) -> tuple[Tensor, Tensor]:
        """Return the moments of the step's cells, (K, E), and update the running ones."""
        means, variances = [], []
        for domain in range(len(self.running_mean)):
            own_BE = x_BE[domain_B == domain]
            if len(own_BE) < 2:
                means.append(self.running_mean[domain].to(x_BE.dtype))
                variances.append(self.running_var[domain].to(x_BE.dtype))
                continue
            means.append(own_BE.mean(dim=0))
            variances.append(own_BE.var(dim=0, unbiased=False))
            with torch.no_grad():
                unbiased_E = variances[-1] * (len(own_BE) / (len(own_BE) - 1))
                self.running_mean[domain].lerp_(means[-1].to(self.running_mean), self.momentum)
                self.running_var[domain].lerp_(unbiased_E.to(self.running_var), self.momentum)
        if self.shared_scale:
            count_K = torch.bincount(domain_B, minlength=len(means)).to(x_BE)
            return torch.stack(means), _pooled(torch.stack(variances), count_K)
        return torch.stack(means), torch.stack(variances)


def _pooled(var_KE: Tensor, count_K: Tensor) -> Tensor:
    """Return the pooled within-domain variance, the same in every row, (K, E)."""
    share_K = count_K / count_K.sum()
    return (share_K[:, None] * var_KE).sum(dim=0).expand_as(var_KE)


NEIGHBOURS = 10


@torch.no_grad()
def batch_excess(cell_BE: Tensor, batch_B: Tensor) -> Tensor:
    """Return how often nearest neighbours share a cell's batch, beyond chance, a scalar.

    ``mean_i(s_i - c_i) / mean_i(1 - c_i)``, with ``s_i`` the share of cell i's batch among its nearest
    neighbours and ``c_i`` among all other cells: 0 if batches are mixed at random, 1 if all neighbours are
    of the same batch, below 0 if neighbours tend to be of other batches; 0 for a single batch or fewer than
    three cells.
    """
    cells = len(cell_BE)
    same_BB = (batch_B[:, None] == batch_B[None, :]).to(cell_BE)
    chance_B = (same_BB.sum(dim=1) - 1) / max(1, cells - 1)
    room = (1 - chance_B).mean()
    if cells < 3 or not room > 0:
        return cell_BE.new_zeros(())
    distance_BB = torch.cdist(cell_BE, cell_BE).fill_diagonal_(float("inf"))
    near_BN = distance_BB.topk(min(NEIGHBOURS, cells - 1), largest=False).indices
    own_B = same_BB.gather(1, near_BN).mean(dim=1)
    return (own_B - chance_B).mean() / room
