"""Cell embedding from counts: a bag of genes that every token sees, and queries that attend to the trunk.

B rows (one cell each, or packed), L tokens, C cells, T real tokens of all cells, D width, Q queries.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sc_mamba2.model.config import ModelConfig
from sc_mamba2.ops import cell_spans, real_tokens

_LOGARITHM = 10.0  # typical log total of a cell: scales it to about one
_HIDDEN = 4  # hidden width of the bag's network over the model's width


class Bags(NamedTuple):
    """Bags of cells, (C, D), and their scaled log totals, (C,), both computed before the trunk."""

    bags_CD: Tensor
    depths_C: Tensor


class CountedCells(nn.Module):
    """Value and cell embedding from the counts of a cell's genes.

    With c_l the count of a token, n their sum and E the gene embedding before its layer norm, the bag is
    ``z0 = MLP([sum_l sqrt(c_l / n) E[g_l], log(1 + n) / 10])``. A token's value is
    ``MLP([log(1 + c_l), log(1 + n) / 10]) + W LayerNorm(z0)``. With h the trunk's hidden vectors and q the
    queries, the cell is ``LayerNorm(z0 + R [sum_l softmax_l(q_k h_l) h_l]_k)``. R starts at zero, so the
    trunk has no effect at first.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.d_model
        self.bag = nn.Sequential(
            nn.Linear(width + 1, _HIDDEN * width), nn.GELU(), nn.Linear(_HIDDEN * width, width)
        )
        self.value = nn.Sequential(nn.Linear(2, width), nn.GELU(), nn.Linear(width, width))
        self.context = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.query_QD = nn.Parameter(torch.randn(config.cell_queries, width) / width**0.5)
        self.reading = nn.Linear(config.cell_queries * width, width)
        nn.init.zeros_(self.reading.weight)
        nn.init.zeros_(self.reading.bias)

    def bags(
        self, embedding_VD: Tensor, token_ids_BL: Tensor, counts_BL: Tensor, lengths: Tensor
    ) -> Bags:
        """Compute the bags of all cells; hidden counts (below 0) and pads count as 0."""
        length = token_ids_BL.shape[1]
        real_BL = real_tokens(lengths, length)
        counts_BL = counts_BL.to(embedding_VD.dtype).clamp(min=0).masked_fill(~real_BL, 0)
        cells_T, count = number_cells(lengths, length)
        totals_C = counts_BL.new_zeros(count).index_add(0, cells_T, counts_BL[real_BL])
        weights_T = (counts_BL[real_BL] / totals_C.clamp(min=1)[cells_T]).sqrt()
        starts_C = functional.pad(cell_spans(lengths, length).lengths.cumsum(0), (1, 0))[:-1]
        summed_CD = functional.embedding_bag(
            token_ids_BL[real_BL].long(),
            embedding_VD,
            starts_C,
            mode="sum",
            per_sample_weights=weights_T,
        )
        depths_C = totals_C.log1p() / _LOGARITHM
        return Bags(self.bag(torch.cat([summed_CD, depths_C.unsqueeze(1)], dim=1)), depths_C)

    def values(self, counts_BL: Tensor, lengths: Tensor, bags: Bags) -> Tensor:
        """Embed counts in the context of their cell, (B, L) to (B, L, D); zero at pads."""
        real_BL = real_tokens(lengths, counts_BL.shape[1])
        cells_T, _ = number_cells(lengths, counts_BL.shape[1])
        counts_T = counts_BL[real_BL].to(bags.depths_C.dtype).clamp(min=0)
        inputs_T2 = torch.stack([counts_T.log1p(), bags.depths_C[cells_T]], dim=1)
        values_TD = self.value(inputs_T2) + self.context(self.norm(bags.bags_CD))[cells_T]
        values_BLD = values_TD.new_zeros(*counts_BL.shape, values_TD.shape[1])
        return values_BLD.masked_scatter(real_BL.unsqueeze(-1), values_TD)

    def read(self, hidden_BLD: Tensor, lengths: Tensor, bags: Bags) -> Tensor:
        """Compute cell embeddings: bags corrected by the queries' attention, (B, L, D) to (C, D)."""
        hidden_TD = hidden_BLD[real_tokens(lengths, hidden_BLD.shape[1])]
        cells_T, count = number_cells(lengths, hidden_BLD.shape[1])
        scores_TQ = hidden_TD @ self.query_QD.to(hidden_TD).T
        cells_TQ = cells_T.unsqueeze(1).expand_as(scores_TQ)
        highest_CQ = scores_TQ.new_zeros(count, scores_TQ.shape[1]).scatter_reduce(
            0, cells_TQ, scores_TQ.detach(), "amax", include_self=False
        )
        weights_TQ = (scores_TQ - highest_CQ[cells_T]).exp()
        sums_CQ = torch.zeros_like(highest_CQ).index_add(0, cells_T, weights_TQ)
        weights_TQ = weights_TQ / sums_CQ[cells_T]
        found_CD = hidden_TD.new_zeros(count, hidden_TD.shape[1])
        read_CQD = [
            found_CD.index_add(0, cells_T, weights_T.unsqueeze(1) * hidden_TD)
            for weights_T in weights_TQ.unbind(1)
        ]
        cells_CD: Tensor = self.norm(bags.bags_CD + self.reading(torch.cat(read_CQD, dim=1)))
        return cells_CD


def number_cells(lengths: Tensor, length: int) -> tuple[Tensor, int]:
    """Return the cell number of every real token, (T,), and the number of cells, without empty ones."""
    spans = cell_spans(lengths, length).lengths
    numbers = torch.arange(len(spans), device=spans.device)
    return torch.repeat_interleave(numbers, spans), len(spans)


def read_first(lengths_B: Tensor, length: int, most: int) -> tuple[Tensor, Tensor]:
    """Choose an even sample of at most `most` genes of every cell, to be read after `<cls>`.

    Of n genes it takes those at about ``k n / most``, a deterministic function of the cell.

    Returns
    -------
    order_BL, read_B
        Positions of all tokens, sampled ones first, otherwise in the original order; and the number of
        sampled tokens, `<cls>` included.
    """
    place_L = torch.arange(length - 1, device=lengths_B.device)
    genes_B1 = (lengths_B.unsqueeze(1) - 1).clamp(min=1)
    # Position p of n is taken where floor(p most / n) grows: min(most, n) times.
    after_BL = torch.div((place_L + 1) * most, genes_B1, rounding_mode="floor")
    before_BL = torch.div(place_L * most, genes_B1, rounding_mode="floor")
    taken_BL = (after_BL > before_BL) & (place_L < lengths_B.unsqueeze(1) - 1)
    order_BL = torch.sort((~taken_BL).long(), dim=1, stable=True).indices + 1
    order_BL = functional.pad(order_BL, (1, 0))
    return order_BL, (taken_BL.sum(dim=1) + 1).clamp(max=lengths_B)
