"""Run a model over tokenised cells and collect its outputs in the order of the cells."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sc_mamba2.genes import Vocabulary
from sc_mamba2.tokens import Batch, TokenizedCells, make_batch, reading_order


@torch.no_grad()
def run_over_cells(
    outputs_of: Callable[[Batch], dict[str, Tensor]],
    tokens: TokenizedCells,
    vocabulary: Vocabulary,
    batch_size: int,
    device: torch.device,
) -> dict[str, np.ndarray]:
    """Collect a function's outputs over all cells.

    Parameters
    ----------
    outputs_of
        From a batch of B cells to named tensors with first dimension B, e.g. a model's `predict`.
    tokens
        N cells.
    vocabulary
        Vocabulary of the tokens.
    batch_size
        Cells a batch; it changes the speed, not the result.
    device
        Where the function's model lives.

    Returns
    -------
    dict of ndarray
        Each output with first dimension N, float32, in the order of `tokens`.
    """
    collected: dict[str, np.ndarray] = {}
    for cells in reading_order(tokens.lengths, batch_size):
        for name, tensor in outputs_of(make_batch(tokens, cells, vocabulary).to(device)).items():
            if name not in collected:
                collected[name] = np.zeros((len(tokens), *tensor.shape[1:]), dtype=np.float32)
            collected[name][cells] = tensor.float().cpu().numpy()
    return collected
