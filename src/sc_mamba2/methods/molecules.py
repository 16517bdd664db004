"""Held-out molecules: split counts, compute posterior rates, and score them on the held-out part.

The priors are in `gene_priors`.
Legend: N cells, G genes, B cells of a block.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

Prior = Callable[..., np.ndarray]  # rows (B,) and hyperparameters -> (B, G), rows sum to one
PLAIN = np.inf  # the phi for which the posterior is the prior


@dataclass(frozen=True)
class Choice:
    """A prior with chosen hyperparameters.

    Attributes
    ----------
    prior
        Its name.
    numbers
        The prior's hyperparameters, by name.
    phi
        Of the posterior; `PLAIN` for the prior itself.
    nats
        Loss per held-out molecule, by which it was chosen.
    """

    prior: str
    numbers: Mapping[str, Any]
    phi: float
    nats: float


def split_molecules(
    counts_NG: sparse.csr_matrix, share: float, generator: np.random.Generator
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Keep each molecule with probability `share`; return the kept and the held-out counts.

    For Poisson counts the two are independent given the rates (Batson 2019, "Molecular
    cross-validation for single-cell RNA-seq"; Neufeld 2022, "Inference after latent variable
    estimation").
    """
    molecules = counts_NG.data.astype(np.int64)
    kept = generator.binomial(molecules, share)
    parts = []
    for values in (kept, molecules - kept):
        part = counts_NG.copy()
        part.data = values.astype(counts_NG.dtype)
        part.eliminate_zeros()
        parts.append(part)
    return parts[0], parts[1]


def posterior_rates(
    prior_BG: np.ndarray, counts_BG: np.ndarray, phi: float, relative_BG: np.ndarray | None = None
) -> np.ndarray:
    """Return the posterior mean rates of cells, given their own counts.

    The rate of a gene is ``P`` times a Gamma variable of mean 1 and shape phi, its count is Poisson with mean
    n times the rate: so ``rate ~ P (phi + c) / (phi + n P)``, normalised to sum to one.

    Parameters
    ----------
    prior_BG
        P, positive, rows sum to one; sets the result's dtype.
    counts_BG
        c, summing to n molecules per cell.
    phi
        Weight of the prior, in molecules: 0 for the cell's own shares, `PLAIN` for the prior.
    relative_BG
        Factor of phi for each gene and cell, above 0; ``None``: 1.
    """
    if phi == PLAIN:
        return prior_BG
    counts_BG = counts_BG.astype(prior_BG.dtype, copy=False)
    molecules_B1 = counts_BG.sum(axis=1, keepdims=True)
    shape: Any = prior_BG.dtype.type(phi)
    if relative_BG is not None:
        shape = shape * relative_BG
    rates_BG = molecules_B1 * prior_BG
    rates_BG += shape
    np.divide(prior_BG, rates_BG, out=rates_BG)
    rates_BG *= counts_BG + shape
    rates_BG /= rates_BG.sum(axis=1, dtype=np.float64, keepdims=True)
    return rates_BG


def nats_per_cell(rates_BG: np.ndarray, held_BG: sparse.csr_matrix) -> np.ndarray:
    """Return ``-sum(held-out count * log rate)`` of every cell, (B,) float64."""
    rows = np.repeat(np.arange(held_BG.shape[0]), np.diff(held_BG.indptr))
    log_likelihood = held_BG.data * np.log(rates_BG[rows, held_BG.indices].astype(np.float64))
    return -np.bincount(rows, log_likelihood, minlength=held_BG.shape[0])


def rates_by_block(
    prior: Prior, choice: Choice, counts_NG: sparse.csr_matrix, rows_M: np.ndarray, together: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield positions in `rows_M` and the rates of these cells, (B, G), `together` at a time."""
    for start in range(0, len(rows_M), together):
        places = np.arange(start, min(start + together, len(rows_M)))
        rows = rows_M[places]
        own_BG = counts_NG[rows].toarray()
        prior_BG = prior(rows, **choice.numbers)
        yield places, posterior_rates(prior_BG, own_BG, choice.phi, relative_phi(prior, rows))


def relative_phi(prior: Prior, rows_B: np.ndarray) -> np.ndarray | None:
    """Return the prior's factors of phi by gene, (B, G), if it has a method of this name, else `None`."""
    method = getattr(prior, "relative_phi", None)
    return None if method is None else method(rows_B)


def choose_numbers(
    name: str,
    prior: Prior,
    grid: Sequence[Mapping[str, Any]],
    phis: Sequence[float],
    kept_NG: sparse.csr_matrix,
    held_NG: sparse.csr_matrix,
    rows_M: np.ndarray,
    together: int,
) -> list[Choice]:
    """Choose a prior's hyperparameters that predict the held-out molecules best, for each phi.

    Parameters
    ----------
    name, prior
        The prior, fitted to `kept_NG`.
    grid
        Candidate hyperparameters.
    phis
        Of the posterior; there is one `Choice` for each.
    kept_NG, held_NG
        The two parts of `split_molecules`.
    rows_M
        Cells to score.
    together
        Cells per block.
    """
    nats = np.zeros((len(grid), len(phis)))
    for start in range(0, len(rows_M), together):
        rows = rows_M[start : start + together]
        own_BG, held_BG = kept_NG[rows].toarray(), held_NG[rows]
        relative_BG = relative_phi(prior, rows)
        for at, numbers in enumerate(grid):
            prior_BG = prior(rows, **numbers)
            for place, phi in enumerate(phis):
                rates_BG = posterior_rates(prior_BG, own_BG, phi, relative_BG)
                nats[at, place] += nats_per_cell(rates_BG, held_BG).sum()
    nats /= max(1.0, float(held_NG[rows_M].sum()))
    best = nats.argmin(axis=0)
    return [
        Choice(name, grid[at], phi, float(nats[at, place]))
        for place, (at, phi) in enumerate(zip(best, phis, strict=True))
    ]


def mean_and_error(nats_N: np.ndarray, molecules_N: np.ndarray) -> tuple[float, float]:
    """Return nats per molecule, or a paired difference of them, and the standard error over cells.

    The error of the ratio ``x = sum d / sum m`` is ``sqrt(N / (N - 1) sum (d - x m)^2) / sum m``.
    """
    total = max(1.0, float(molecules_N.sum()))
    mean = float(nats_N.sum()) / total
    cells = len(nats_N)
    spread = float(((nats_N - mean * molecules_N) ** 2).sum()) * cells / max(1, cells - 1)
    return mean, float(np.sqrt(spread)) / total
