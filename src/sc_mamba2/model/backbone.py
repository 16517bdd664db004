"""The backbone: tokens and values in, one hidden vector a token out. Heads stand in `heads`.

B rows (one cell each, or packed with S cells), L tokens, D width, V vocabulary, C cells.
"""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sc_mamba2.model.config import ModelConfig
from sc_mamba2.model.embeddings import (
    GeneBag,
    GeneEncoder,
    TokenKinds,
    input_norm,
    value_encoder,
)
from sc_mamba2.model.layer import BidirectionalLayer, trunk_norm
from sc_mamba2.ops import ScanPath, cell_spans, real_tokens


class Backbone(nn.Module):
    """Gene and value embedding, then bidirectional Mamba2 layers.

    Parameters
    ----------
    config
        Shape of the backbone.

    Attributes
    ----------
    scan_path
        Path of the scan, settable at any time; see `ops.dispatch`.
    recompute_layers
        Whether training keeps only the input of each layer and computes the layer again for the
        gradient, settable at any time. The result is the same.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.scan_path: ScanPath = "auto"
        self.recompute_layers = False
        self.gene_encoder = GeneEncoder(config)
        self.value_encoder = value_encoder(config)
        self.gene_bag = GeneBag(config) if config.cell_start == "genes" else None
        self.token_kinds = TokenKinds(config) if config.token_kinds else None
        self.input_norm = input_norm(config)
        self.layers = nn.ModuleList(BidirectionalLayer(config) for _ in range(config.n_layers))
        self.final_norm = trunk_norm(config) if config.final_norm else nn.Identity()

    @property
    def gene_embedding(self) -> nn.Embedding:
        """The embedding of gene ids, weight (V, D)."""
        return self.gene_encoder.embedding

    def forward(
        self,
        token_ids_BL: Tensor,
        values_BL: Tensor,
        lengths: Tensor,
        added_BLD: Tensor | None = None,
    ) -> Tensor:
        """Compute the hidden vectors of cells, one a right-padded row or several packed in a row.

        Parameters
        ----------
        token_ids_BL
            Gene ids, (B, L), 0 to V - 1; at pads anything.
        values_BL
            Bins or log-normalised values, (B, L); at pads anything, NaN included.
        lengths
            Real tokens of each cell, (B,), 0 to L; of packed rows (B, S), see `ops.rows`.
        added_BLD
            What a task adds to the embedded tokens, (B, L, D), zero at pads; ``None``: nothing.

        Returns
        -------
        Tensor
            (B, L, D), zero at pads.
        """
        x_BLD = self.embed(token_ids_BL, values_BL, lengths)
        if added_BLD is not None:
            x_BLD = x_BLD + added_BLD
        for layer in self.layers:
            x_BLD = self._run(layer, x_BLD, lengths)
        hidden_BLD: Tensor = self.final_norm(x_BLD)
        pad_BL = ~real_tokens(lengths, token_ids_BL.shape[1])
        return hidden_BLD.masked_fill(pad_BL.unsqueeze(-1), 0)

    def embed(self, token_ids_BL: Tensor, values_BL: Tensor, lengths: Tensor) -> Tensor:
        """Embed genes and values, (B, L), to what enters the trunk, (B, L, D), zero at pads."""
        pad_BL = ~real_tokens(lengths, token_ids_BL.shape[1])
        token_ids_BL = token_ids_BL.masked_fill(pad_BL, self.config.pad_id)
        values_BL = values_BL.masked_fill(pad_BL, 0)
        genes_BLD: Tensor = self.gene_encoder(token_ids_BL)
        if self.value_encoder is None:
            x_BLD = genes_BLD * values_BL.to(genes_BLD.dtype).unsqueeze(-1)
        else:
            x_BLD = genes_BLD + self.value_encoder(values_BL)
        if self.token_kinds is not None:
            x_BLD = x_BLD + self.token_kinds(token_ids_BL)
        if self.gene_bag is not None:
            starts = cell_spans(lengths, token_ids_BL.shape[1]).starts
            bags_CD = self.gene_bag(self.gene_embedding.weight, token_ids_BL, values_BL, starts)
            x_BLD = x_BLD.flatten(0, 1).index_add(0, starts, bags_CD.to(x_BLD)).view_as(x_BLD)
        if self.input_norm is not None:
            x_BLD = self.input_norm(x_BLD, ~pad_BL)
        return x_BLD.masked_fill(pad_BL.unsqueeze(-1), 0)

    def encode(self, token_ids_BL: Tensor, values_BL: Tensor, lengths: Tensor) -> Tensor:
        """Compute the cell embedding, the hidden vector of `<cls>`, a cell's first token.

        (B, D); of packed rows (cells, D), row after row, empty cells left out.
        """
        hidden_BLD: Tensor = self(token_ids_BL, values_BL, lengths)
        if lengths.dim() == 1:
            return hidden_BLD[:, 0]
        starts = cell_spans(lengths, hidden_BLD.shape[1]).starts
        return hidden_BLD.flatten(0, 1)[starts]

    def _run(self, layer: nn.Module, x_BLD: Tensor, lengths: Tensor) -> Tensor:
        if self.recompute_layers and torch.is_grad_enabled():
            again: Tensor = checkpoint(layer, x_BLD, lengths, self.scan_path, use_reentrant=False)
            return again
        found: Tensor = layer(x_BLD, lengths, self.scan_path)
        return found
