"""The priors that may be chosen: how each is fitted to counts, and which numbers of it are tried.

A further one is a further entry: a function of counts, genes and `ComputeOptions` that gives a `Prior`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy import sparse

from sc_mamba2.methods.gene_priors import GeneMeans, NearestCells, OwnCounts, SingularVectors
from sc_mamba2.methods.molecules import PLAIN, Prior
from sc_mamba2.tasks.denoising.params import PriorParams
from sc_mamba2.tasks.denoising.pretrained import fit_pretrained, read_foreteller
from sc_mamba2.training import ComputeOptions

MEANS, OWN, NEIGHBOURS, SVD = "gene_means", "own_counts", "neighbours", "svd"
PRETRAINED = "pretrained"
Fit = Callable[[sparse.csr_matrix, np.ndarray, ComputeOptions], Prior]


@dataclass(frozen=True)
class Candidate:
    """A prior.

    Attributes
    ----------
    fit
        From counts of all cells, Ensembl ids of their genes and how it is computed to the prior.
    grid
        Its numbers, of which one set is chosen.
    phis
        Of the posterior that is tried with it; `PLAIN` alone: a simple method beside.
    """

    fit: Fit
    grid: list[dict[str, Any]]
    phis: tuple[float, ...]


def candidates(params: PriorParams) -> dict[str, Candidate]:
    """Return every prior by name; all also stand as they are, as simple methods."""
    near = [
        {"neighbours": count, "kappa": k} for count, k in product(params.neighbours, params.kappa)
    ]
    most, rank = max(params.neighbours), max(params.ranks)

    def nearest(counts: sparse.csr_matrix, seed: int) -> NearestCells:
        return NearestCells(counts, params.components, most, seed)

    fits: dict[str, tuple[Fit, list[dict[str, Any]]]] = {
        MEANS: (lambda counts, *_: GeneMeans(counts), [{}]),
        OWN: (
            lambda counts, *_: OwnCounts(counts),
            [{"mean_molecules": a} for a in params.mean_molecules],
        ),
        NEIGHBOURS: (
            lambda counts, _, how: nearest(counts, how.seed),
            near,
        ),
        SVD: (
            lambda counts, _, how: SingularVectors(counts, rank, how.seed),
            [{"rank": r} for r in params.ranks],
        ),
    }
    if PRETRAINED in params.names:
        model = read_foreteller(params.checkpoint)
        fits[PRETRAINED] = (
            lambda counts, genes, how: fit_pretrained(
                model, counts, genes, nearest(counts, how.seed), params.shift_cells, how.device
            ),
            [{"neighbours": 0, "kappa": 1}, *near],
        )
    own = {
        name: (PLAIN, *params.phi) if name in (MEANS, *params.names) else (PLAIN,) for name in fits
    }
    return {name: Candidate(*parts, own[name]) for name, parts in fits.items()}
