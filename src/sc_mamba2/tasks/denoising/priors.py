"""The priors that may be chosen: how each is fitted to counts, and which numbers of it are tried.

A further one is a further entry: a function of counts and a seed that gives a `Prior`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

from scipy import sparse

from sc_mamba2.methods.gene_priors import GeneMeans, NearestCells, OwnCounts, SingularVectors
from sc_mamba2.methods.molecules import PLAIN, Prior
from sc_mamba2.tasks.denoising.params import PriorParams

MEANS, OWN, NEIGHBOURS, SVD = "gene_means", "own_counts", "neighbours", "svd"


@dataclass(frozen=True)
class Candidate:
    """A prior.

    Attributes
    ----------
    fit
        From counts of all cells and a seed to the prior.
    grid
        Its numbers, of which one set is chosen.
    phis
        Of the posterior that is tried with it; `PLAIN` alone: a simple method beside.
    """

    fit: Callable[[sparse.csr_matrix, int], Prior]
    grid: list[dict[str, Any]]
    phis: tuple[float, ...]


def candidates(params: PriorParams) -> dict[str, Candidate]:
    """Return every prior by name; all also stand as they are, as simple methods."""
    near = product(params.neighbours, params.kappa)
    most, rank = max(params.neighbours), max(params.ranks)
    fits: dict[str, tuple[Callable[[sparse.csr_matrix, int], Prior], list[dict[str, Any]]]] = {
        MEANS: (lambda counts, _: GeneMeans(counts), [{}]),
        OWN: (
            lambda counts, _: OwnCounts(counts),
            [{"mean_molecules": a} for a in params.mean_molecules],
        ),
        NEIGHBOURS: (
            lambda counts, seed: NearestCells(counts, params.components, most, seed),
            [{"neighbours": count, "kappa": kappa} for count, kappa in near],
        ),
        SVD: (
            lambda counts, seed: SingularVectors(counts, rank, seed),
            [{"rank": r} for r in params.ranks],
        ),
    }
    own = {
        name: (PLAIN, *params.phi) if name in (MEANS, *params.names) else (PLAIN,) for name in fits
    }
    return {name: Candidate(*parts, own[name]) for name, parts in fits.items()}
