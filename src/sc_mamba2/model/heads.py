"""Heads that several tasks share, run in chunks of tokens on long rows.

The keys of the released weights map one to one: `fc`, `zero_logit`, `gene2query`, `W`, `W_zero_logit`,
`_decoder` (here `decoder`), `out_layer`. B cells, L tokens, D width, V vocabulary, K classes.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Expression(NamedTuple):
    """Output of an expression head."""

    value: Tensor  # (B, L)
    nonzero_probability: Tensor | None  # (B, L), 0 to 1; None if the head has no such network


class ExpressionDecoder(nn.Module):
    """Decoder of a token's expression from its hidden vector: linear layers D, D, D, 1 with LeakyReLU.

    With `zero_probability` a second network predicts the probability of a non-zero value. The width D may
    include batch embeddings appended to the tokens.
    """

    def __init__(self, d_model: int, zero_probability: bool = False) -> None:
        super().__init__()
        self.fc = _expression_network(d_model)
        self.zero_logit = _expression_network(d_model) if zero_probability else None

    def forward(self, hidden_BLD: Tensor) -> Expression:
        """Decode hidden vectors, (B, L, D)."""
        value_BL = self.fc(hidden_BLD).squeeze(-1)
        if self.zero_logit is None:
            return Expression(value_BL, None)
        return Expression(value_BL, torch.sigmoid(self.zero_logit(hidden_BLD).squeeze(-1)))


def _expression_network(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, width),
        nn.LeakyReLU(),
        nn.Linear(width, width),
        nn.LeakyReLU(),
        nn.Linear(width, 1),
    )


class GeneDecoder(nn.Module):
    """Decoder of the expressed genes from the cell embedding: ``LayerNorm(GELU(Linear(cell))) · E + b``.

    E is the gene embedding, (V, D), b a bias per gene.
    """

    def __init__(self, d_model: int, vocabulary_size: int) -> None:
        super().__init__()
        self.query = nn.Sequential(nn.Linear(d_model, d_model), nn.GELU(), nn.LayerNorm(d_model))
        self.bias_V = nn.Parameter(torch.zeros(vocabulary_size))

    def forward(self, cell_BD: Tensor, embedding_VD: Tensor) -> Tensor:
        """Compute a logit for every gene, (B, D) and (V, D) to (B, V)."""
        query_BD = self.query(cell_BD)
        return torch.addmm(self.bias_V.to(query_BD.dtype), query_BD, embedding_VD.T)


class CellExpressionDecoder(nn.Module):
    """Decoder of any gene's expression from the cell embedding: ``cell W sigmoid(Linear(gene embedding))``.

    With `zero_probability` a second product predicts the probability of a non-zero value. `cell_width`
    defaults to `d_model`, the width of a gene embedding.
    """

    def __init__(
        self, d_model: int, cell_width: int | None = None, zero_probability: bool = False
    ) -> None:
        super().__init__()
        cell_width = cell_width or d_model
        self.gene2query = nn.Linear(d_model, d_model)
        self.W = nn.Linear(d_model, cell_width, bias=False)
        self.W_zero_logit = nn.Linear(d_model, cell_width) if zero_probability else None

    def forward(self, cell_BD: Tensor, gene_BLD: Tensor) -> Expression:
        """Decode cells, (B, D), at genes, (B, L, D)."""
        query_BLD = torch.sigmoid(self.gene2query(gene_BLD))
        # Project the cell rather than every gene: the same product in far fewer operations.
        value_BL = (query_BLD @ (cell_BD @ self.W.weight).unsqueeze(-1)).squeeze(-1)
        if self.W_zero_logit is None:
            return Expression(value_BL, None)
        logit_BL = (query_BLD @ (cell_BD @ self.W_zero_logit.weight).unsqueeze(-1)).squeeze(-1)
        logit_BL = logit_BL + (cell_BD @ self.W_zero_logit.bias).unsqueeze(-1)
        return Expression(value_BL, torch.sigmoid(logit_BL))


class CellClassifier(nn.Module):
    """Cell classifier: `n_hidden` times linear, ReLU and layer norm, then linear to K logits."""

    def __init__(self, d_model: int, n_classes: int, n_hidden: int = 2) -> None:
        super().__init__()
        self.decoder = nn.Sequential()
        for _ in range(n_hidden):
            self.decoder.extend([nn.Linear(d_model, d_model), nn.ReLU(), nn.LayerNorm(d_model)])
        self.out_layer = nn.Linear(d_model, n_classes)

    def forward(self, cell_BD: Tensor) -> Tensor:
        """Compute class logits, (B, D) to (B, K)."""
        logits_BK: Tensor = self.out_layer(self.decoder(cell_BD))
        return logits_BK


# About 100 MB of activations for a head of width 1,536.
_EXPRESSION_TOKENS = 8_192


def expression_in_chunks(
    head: Callable[[Tensor], Expression], x_BL: Tensor, tokens: int = _EXPRESSION_TOKENS
) -> Expression:
    """Call an expression head on chunks of tokens, so that its activations never span a whole genome.

    Parameters
    ----------
    head
        Maps a chunk of `x_BL` along the tokens to its expression, (B, chunk).
    x_BL
        Hidden vectors, (B, L, D), or token ids, (B, L).
    tokens
        Tokens of a chunk, over all rows. Longer inputs use activation checkpointing.
    """
    columns = max(1, tokens // max(1, len(x_BL)))
    if x_BL.shape[1] <= columns:
        return head(x_BL)
    parts = []
    for part in x_BL.split(columns, dim=1):
        again = torch.is_grad_enabled()
        parts.append(checkpoint(head, part, use_reentrant=False) if again else head(part))
    value_BL = torch.cat([part.value for part in parts], dim=1)
    nonzero = [part.nonzero_probability for part in parts if part.nonzero_probability is not None]
    return Expression(value_BL, torch.cat(nonzero, dim=1) if nonzero else None)
