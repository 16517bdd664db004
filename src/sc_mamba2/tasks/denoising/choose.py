"""Select prior and hyperparameters on an inner split of the kept molecules, and score on the held-out ones.

Legend: N cells, M scored cells, G genes.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from sc_mamba2.methods.molecules import (
    Choice,
    choose_numbers,
    nats_per_cell,
    rates_by_block,
    split_molecules,
)
from sc_mamba2.tasks.denoising.params import OutputParams, PriorParams, SplitParams
from sc_mamba2.tasks.denoising.priors import candidates
from sc_mamba2.tasks.shared.progress import training_progress
from sc_mamba2.training import ComputeOptions

POSTERIOR = ", posterior"
EDGES = np.logspace(-4, 2, 19)  # of expected molecules


class Halves(NamedTuple):
    """Counts of all cells, split into kept and held-out molecules, and the rows of the scored cells."""

    kept_NG: sparse.csr_matrix
    held_NG: sparse.csr_matrix
    rows_M: np.ndarray


@dataclass(frozen=True, eq=False)
class Judged:
    """How well every method predicts the held-out molecules.

    Attributes
    ----------
    nats
        (M,) per cell, by method.
    molecules_M
        Held-out molecules of these cells.
    calibration
        For the chosen method, binned by expected molecules of a gene in a cell: means ``expected`` and
        ``found`` over ``values`` values.
    """

    nats: dict[str, np.ndarray]
    molecules_M: np.ndarray
    calibration: pd.DataFrame


def hold_out(counts_NG: sparse.csr_matrix, params: SplitParams, seed: int) -> tuple[Halves, Halves]:
    """Split the counts, and the kept part again; the inner split never sees the held-out molecules."""
    outer = split_molecules(counts_NG, params.share, np.random.default_rng([seed, 0]))
    inner = split_molecules(outer[0], params.share, np.random.default_rng([seed, 1]))
    order = np.random.default_rng([seed, 2]).permutation(counts_NG.shape[0])
    rows_M = np.sort(order[: params.cells])
    return Halves(*outer, rows_M), Halves(*inner, rows_M)


def choose(
    counts_NG: sparse.csr_matrix,
    genes_G: np.ndarray,
    split: SplitParams,
    priors: PriorParams,
    output: OutputParams,
    compute: ComputeOptions,
) -> dict[str, Choice]:
    """Choose the hyperparameters of every method: each prior without and with the posterior."""
    _, inner = hold_out(counts_NG, split, compute.seed)
    return choose_by(inner, genes_G, priors, output, compute)


def choose_by(
    inner: Halves,
    genes_G: np.ndarray,
    priors: PriorParams,
    output: OutputParams,
    compute: ComputeOptions,
) -> dict[str, Choice]:
    """Do the same as `choose`, given the inner split."""
    found: dict[str, Choice] = {}
    named = candidates(priors)
    with training_progress("choosing", unit="prior") as on_step:
        for at, (name, one) in enumerate(named.items(), start=1):
            prior = one.fit(inner.kept_NG, genes_G, compute)
            first, others = split_phis(one.phis)
            where = (*inner, output.cells_a_block)
            found[name], *posterior = choose_numbers(name, prior, one.grid, first, *where)
            if posterior:
                best = [posterior[0].numbers]
                posterior += choose_numbers(name, prior, best, others, *where)
                found[name + POSTERIOR] = min(posterior, key=lambda choice: choice.nats)
            on_step(at, len(named))
    return found


def split_phis(phis: tuple[float, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Split phis into those tried with the whole grid of a prior, and those tried with its best point.

    The first are the plain prior and the middle phi: the best neighbours hardly depend on phi.
    """
    middle = max(1, len(phis) // 2)
    return (phis[0], *phis[middle : middle + 1]), phis[1:middle] + phis[middle + 1 :]


def chosen_method(choices: dict[str, Choice], priors: PriorParams) -> str:
    """Return the method used for denoising: the best posterior on the inner split."""
    return min((n + POSTERIOR for n in priors.names), key=lambda name: choices[name].nats)


def judge(
    counts_NG: sparse.csr_matrix,
    genes_G: np.ndarray,
    choices: dict[str, Choice],
    split: SplitParams,
    priors: PriorParams,
    output: OutputParams,
    compute: ComputeOptions,
) -> Judged:
    """Predict the held-out molecules from the kept ones, by every method."""
    outer, _ = hold_out(counts_NG, split, compute.seed)
    held_MG = outer.held_NG[outer.rows_M]
    molecules_M = np.asarray(held_MG.sum(axis=1, dtype=np.float64)).ravel()
    best = chosen_method(choices, priors)
    nats = {name: np.zeros(len(molecules_M)) for name in choices}
    sums = np.zeros((3, len(EDGES) + 1))
    named = candidates(priors)
    with training_progress("scoring", unit="prior") as on_step:
        for at, (name, one) in enumerate(named.items(), start=1):
            prior = one.fit(outer.kept_NG, genes_G, compute)
            for method in (n for n, choice in choices.items() if choice.prior == name):
                parts = outer.kept_NG, outer.rows_M, output.cells_a_block
                for places, rates_BG in rates_by_block(prior, choices[method], *parts):
                    nats[method][places] = nats_per_cell(rates_BG, held_MG[places])
                    if method == best:
                        expected_BG = rates_BG * molecules_M[places, None]
                        sums += _calibration(expected_BG, held_MG[places])
            on_step(at, len(named))
    full = sums[2] > 0
    expected, found = sums[:2, full] / sums[2, full]
    table = {"expected": expected, "found": found, "values": sums[2, full]}
    return Judged(nats, molecules_M, pd.DataFrame(table))


def _calibration(expected_BG: np.ndarray, held_BG: sparse.csr_matrix) -> np.ndarray:
    """Return sums of expected and found molecules, and counts of values, by bins of the expected ones."""
    bins = np.searchsorted(EDGES, expected_BG.ravel())
    size = len(EDGES) + 1
    weights = (expected_BG.ravel(), held_BG.toarray().ravel(), None)
    return np.stack([np.bincount(bins, weight, size) for weight in weights])
