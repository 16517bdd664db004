"""Match the sequencing depth of two sets of cells. Legend: N cells, G genes."""

import numpy as np
from scipy import sparse

# Threshold on the share of ones among a cell's values: 50 to 80 % for UMI counts, about 10 % for reads.
_MOLECULES = 0.25


def match_depth(
    first_NG: sparse.csr_matrix,
    second_NG: sparse.csr_matrix,
    ratio: float,
    least: float,
    seed: int,
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Thin the deeper of two sets of cells to the median total of the other.

    Each molecule is kept with the same probability, as if the library had been sequenced less. Cells with
    read counts instead of UMI counts stay unchanged, and so does everything if a set has mostly such cells.

    Parameters
    ----------
    first_NG, second_NG
        Counts over the same genes.
    ratio
        Ratio of the medians above which they are matched, at least 1.
    least
        Lowest median of molecules per cell to thin to, since thinned cells carry less information.
    seed
        Seed of the thinning.
    """
    counted = [_are_molecules(counts) for counts in (first_NG, second_NG)]
    if any(mask_N.mean() < 0.5 for mask_N in counted if len(mask_N)):
        return first_NG, second_NG
    totals = [
        float(np.median(np.asarray(counts.sum(axis=1)).ravel()[mask_N])) if mask_N.any() else 0.0
        for counts, mask_N in zip((first_NG, second_NG), counted, strict=True)
    ]
    target = max(min(totals), least)
    first, second = (
        _thin(counts, mask_N, target / total, seed) if total > ratio * target else counts
        for counts, mask_N, total in zip((first_NG, second_NG), counted, totals, strict=True)
    )
    return first, second


def _are_molecules(counts_NG: sparse.csr_matrix) -> np.ndarray:
    """Return for each cell whether its values are molecules (UMIs), judged by the share of ones."""
    ones_NG = sparse.csr_matrix(
        (counts_NG.data == 1, counts_NG.indices, counts_NG.indptr), counts_NG.shape
    )
    values_N = np.maximum(np.diff(counts_NG.indptr), 1)
    return np.asarray(np.asarray(ones_NG.sum(axis=1)).ravel() / values_N > _MOLECULES)


def _thin(
    counts_NG: sparse.csr_matrix, mask_N: np.ndarray, share: float, seed: int
) -> sparse.csr_matrix:
    """Keep each molecule of the masked cells with probability `share`."""
    thinned = counts_NG.copy()
    own = np.repeat(mask_N, np.diff(counts_NG.indptr))
    molecules = thinned.data[own].round().astype(np.int64)
    thinned.data[own] = np.random.default_rng(seed).binomial(molecules, share)
    thinned.eliminate_zeros()
    return thinned
