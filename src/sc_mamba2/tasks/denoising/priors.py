"""The available priors: how each is fitted to counts, and which hyperparameters are tried.

To add a prior, add an entry: a function of counts, genes and `ComputeOptions` that returns a `Prior`.
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
from sc_mamba2.tasks.denoising.pretrained import PretrainedRates, read_molecule_model
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
        Fits the prior to the counts of all cells and the Ensembl ids of their genes.
    grid
        Sets of hyperparameters, of which one is chosen.
    phis
        Values of phi for the posterior; only `PLAIN`: a baseline without posterior.
    """

    fit: Fit
    grid: list[dict[str, Any]]
    phis: tuple[float, ...]


def candidates(params: PriorParams) -> dict[str, Candidate]:
    """Return every prior by name; each is also tried without posterior, as a baseline."""
    near = [
        {"neighbours": count, "kappa": k} for count, k in product(params.neighbours, params.kappa)
    ]
    most, rank = max(params.neighbours), max(params.ranks)

    fitted: dict[int, NearestCells] = {}

    def nearest(counts: sparse.csr_matrix, _: np.ndarray, how: ComputeOptions) -> NearestCells:
        if id(counts) not in fitted:  # two priors share the neighbours
            fitted.clear()
            fitted[id(counts)] = NearestCells(counts, params.components, most, how.seed)
        return fitted[id(counts)]

    fits: dict[str, tuple[Fit, list[dict[str, Any]]]] = {
        MEANS: (lambda counts, *_: GeneMeans(counts), [{}]),
        OWN: (
            lambda counts, *_: OwnCounts(counts),
            [{"mean_molecules": a} for a in params.mean_molecules],
        ),
        NEIGHBOURS: (nearest, near),
        SVD: (
            lambda counts, _, how: SingularVectors(counts, rank, how.seed),
            [{"rank": r} for r in params.ranks],
        ),
    }
    if PRETRAINED in params.names:
        model = read_molecule_model(params.checkpoint)

        def pretrained(counts: sparse.csr_matrix, genes: np.ndarray, how: ComputeOptions) -> Prior:
            cells = nearest(counts, genes, how)
            if (model.tokenizer.vocabulary.rows_of(genes) < 0).all():
                return cells  # the model knows no gene
            return PretrainedRates(model, counts, genes, cells, params.shift_cells, how.device)

        fits[PRETRAINED] = (pretrained, [{"neighbours": 0, "kappa": 1}, *near])
    own = {
        name: (PLAIN, *params.phi) if name in (MEANS, *params.names) else (PLAIN,) for name in fits
    }
    return {name: Candidate(*parts, own[name]) for name, parts in fits.items()}
