"""Do two embeddings of the same cells put a cell in the same place? N cells, D width."""

import numpy as np

CELLS_AT_ONCE = 1024


def foscttm(one_ND: np.ndarray, other_ND: np.ndarray) -> float:
    """Return the fraction of samples closer than the true match, 0 to 1; lower is better.

    For each cell of one embedding, the share of the N - 1 other cells that lie nearer to it in the other
    embedding than the cell itself (an equal distance counts half), mean over the cells and both
    directions: 0 where every cell finds itself, 0.5 by chance (Liu et al. 2019, "Jointly embedding
    multiple single-cell omics measurements").

    Parameters
    ----------
    one_ND, other_ND
        (N, D) of the same cells in the same order, N at least 2.
    """
    assert one_ND.shape == other_ND.shape and len(one_ND) > 1
    return (_one_way(one_ND, other_ND) + _one_way(other_ND, one_ND)) / 2


def _one_way(one_ND: np.ndarray, other_ND: np.ndarray) -> float:
    one, other = (np.asarray(part, np.float64) for part in (one_ND, other_ND))
    norms = (other**2).sum(axis=1)
    total, cells = 0.0, len(one)
    for start in range(0, cells, CELLS_AT_ONCE):
        block = one[start : start + CELLS_AT_ONCE]
        squares = norms - 2 * block @ other.T  # the block's own norm is the same for all
        own = squares[np.arange(len(block)), start + np.arange(len(block))][:, None]
        total += float((squares < own).sum() + ((squares == own).sum() - len(block)) / 2)
    return total / (cells * (cells - 1))
