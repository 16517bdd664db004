"""How well the batch of a cell can be told from its neighbours: no label is needed for that.

B cells of a step, K batches.
"""

import torch
from torch import Tensor

NEIGHBOURS = 10


@torch.no_grad()
def batch_excess(cell_BE: Tensor, batch_B: Tensor) -> Tensor:
    """Return how far a cell's nearest neighbours are of its own batch beyond chance.

    ``mean_i(s_i - c_i) / mean_i(1 - c_i)``, with ``s_i`` the share of cell i's batch among its
    nearest neighbours and ``c_i`` its share among all other cells given: 0 where batches are mixed
    as by chance, 1 where neighbours are of one batch throughout; below 0 where they avoid their own.

    Parameters
    ----------
    cell_BE
        Cell embeddings, (B, E).
    batch_B
        Their batches, (B,) 0 to K - 1.

    Returns
    -------
    Tensor
        Scalar; 0 where all cells are of one batch or there are fewer than three.
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
