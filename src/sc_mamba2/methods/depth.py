"""Two sets of cells brought to one sequencing depth. Legend: N cells, G genes."""

import numpy as np
from scipy import sparse

# Of molecules counted one by one, half to four fifths of a cell's values are 1; of reads a tenth.
_MOLECULES = 0.25


def match_depth(
    first_NG: sparse.csr_matrix,
    second_NG: sparse.csr_matrix,
    ratio: float,
    least: float,
    seed: int,
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Thin the deeper of two sets of cells to the median total of the other.

    Each molecule is kept with the same probability, as if the library had been sequenced less. Cells whose
    values are reads, not molecules, are left as they are, and so are all where one set holds mostly
    such cells.

    Parameters
    ----------
    first_NG, second_NG
        Counts over the same genes.
    ratio
        Of the medians above which they are matched, 1 or more.
    least
        Molecules a cell below which no set is thinned in the median: a thinned cell says less.
    seed
        Of the molecules that are kept.
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
    """Say of each cell whether its values are molecules, by the share of them that are 1."""
    ones_NG = sparse.csr_matrix(
        (counts_NG.data == 1, counts_NG.indices, counts_NG.indptr), counts_NG.shape
    )
    values_N = np.maximum(np.diff(counts_NG.indptr), 1)
    return np.asarray(np.asarray(ones_NG.sum(axis=1)).ravel() / values_N > _MOLECULES)


def _thin(
    counts_NG: sparse.csr_matrix, mask_N: np.ndarray, share: float, seed: int
) -> sparse.csr_matrix:
    """Keep each molecule of the cells of a mask with the probability `share`."""
    thinned = counts_NG.copy()
    own = np.repeat(mask_N, np.diff(counts_NG.indptr))
    molecules = thinned.data[own].round().astype(np.int64)
    thinned.data[own] = np.random.default_rng(seed).binomial(molecules, share)
    thinned.eliminate_zeros()
    return thinned
