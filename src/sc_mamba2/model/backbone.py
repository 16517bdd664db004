"""The backbone: maps tokens and values to one hidden vector per token. The heads are in `heads`.

B rows (one cell each, or packed with S cells), L tokens, D width, V vocabulary, C cells.
"""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sc_mamba2.errors import UserError
from sc_mamba2.model.config import ModelConfig
from sc_mamba2.model.counted_cells import Bags, CountedCells, read_first
from sc_mamba2.model.embeddings import GeneBag, GeneEncoder, TokenKinds, input_norm, value_encoder
from sc_mamba2.model.mixer import Mamba2Mixer
from sc_mamba2.ops import ScanPath, cell_spans, real_tokens


def trunk_norm(config: ModelConfig) -> nn.Module:
    """Build the trunk's norm over the width, as named in the config."""
    if config.norm == "none":
        return nn.Identity()
    kind = nn.LayerNorm if config.norm == "layer" else nn.RMSNorm
    return kind(config.d_model, eps=1e-5)


class BidirectionalLayer(nn.Module):
    """``x + mix(norm(x))`` (pre-norm) or ``norm(x + mix(x))`` (post-norm), then the same for a feed-forward.

    ``mix`` averages both directions, which share one mixer if tied and have one each otherwise.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.before = config.norm_position == "pre"
        self.mixer = Mamba2Mixer(config)
        self.backward_mixer = None if config.tied_directions else Mamba2Mixer(config)
        self.norm = trunk_norm(config)
        self.dropout = nn.Dropout(config.dropout)
        self.feed_forward: nn.Module | None = None
        if config.feed_forward:
            self.feed_forward = nn.Sequential(
                nn.Linear(config.d_model, config.feed_forward),
                nn.GELU(),
                nn.Dropout(config.dropout),
                nn.Linear(config.feed_forward, config.d_model),
            )
            self.feed_forward_norm = trunk_norm(config)

    def forward(self, x_BLD: Tensor, lengths: Tensor, path: ScanPath = "auto") -> Tensor:
        """Run the layer over right-padded rows, (B, L, D); the output at pads is meaningless."""
        read_BLD = self.norm(x_BLD) if self.before else x_BLD
        if self.backward_mixer is None:
            mixed_BLD = self.mixer.both(read_BLD, lengths, path)
        else:
            ahead_BLD = self.mixer(read_BLD, lengths, path)
            mixed_BLD = (ahead_BLD + self.backward_mixer(read_BLD, lengths, path, reverse=True)) / 2
        x_BLD = x_BLD + self.dropout(mixed_BLD)
        x_BLD = x_BLD if self.before else self.norm(x_BLD)
        if self.feed_forward is None:
            return x_BLD
        if self.before:
            return x_BLD + self.dropout(self.feed_forward(self.feed_forward_norm(x_BLD)))
        fed_BLD: Tensor = self.feed_forward_norm(x_BLD + self.dropout(self.feed_forward(x_BLD)))
        return fed_BLD


def check_tokens(token_ids_BL: Tensor, bins_BL: Tensor, lengths: Tensor, n_bins: int) -> None:
    """Raise a `UserError` (rule ``token-bins``) for ids, bins and lengths that do not match, or invalid bins."""
    found, expected = "", f"whole bins from -1 (hidden) to {n_bins - 1}"
    real_B = lengths if lengths.dim() == 1 else lengths.sum(1)
    rows, length = token_ids_BL.shape if token_ids_BL.dim() == 2 else (0, 0)
    if token_ids_BL.shape != bins_BL.shape or real_B.shape != (rows,):
        shapes = (tuple(part.shape) for part in (token_ids_BL, bins_BL, lengths))
        found = "ids, bins and lengths of shapes " + ", ".join(map(str, shapes))
        expected = (
            "ids and bins of the same shape, cells x tokens, and the number of real tokens per cell"
        )
    elif rows and not 0 <= int(real_B.min()) <= int(real_B.max()) <= length:
        found, expected = f"{int(real_B.max())} tokens in a row of {length}", f"0 to {length}"
    elif bins_BL.dtype == torch.bool or bins_BL.is_complex():
        found = f"values of the type {bins_BL.dtype}"
    elif bins_BL.device.type != "meta":
        real_T = bins_BL[real_tokens(lengths, length)]
        wrong_T = real_T[~((real_T == real_T.round()) & (real_T >= -1) & (real_T < n_bins))]
        if len(wrong_T):
            found = f"the value {wrong_T[0].item():.4g}, and {len(wrong_T) - 1:,} more that are not bins"
    if found:
        raise UserError(
            "token-bins",
            found=found,
            expected=expected,
            mend="sc_mamba2.Tokenizer.of(model)(adata) gives what the backbone reads; in a Batch it is bins_BL",
        )


class Backbone(nn.Module):
    """Gene and value embedding, then bidirectional Mamba2 layers.

    Attributes
    ----------
    scan_path
        Implementation of the scan, see `ops.dispatch`; can be set at any time.
    recompute_layers
        Whether to use activation checkpointing in training: only each layer's input is kept, with the same
        result; can be set at any time.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.scan_path: ScanPath = "auto"
        self.recompute_layers = False
        self._looked_at = False  # whether tokens have been checked once
        self.gene_encoder = GeneEncoder(config)
        self.value_encoder = value_encoder(config)
        self.gene_bag = GeneBag(config) if config.cell_start == "genes" else None
        counts = config.value_encoder == "counts"
        self.counted_cells = CountedCells(config) if counts else None
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
        bins_BL: Tensor,
        lengths: Tensor,
        added_BLD: Tensor | None = None,
        read_B: Tensor | None = None,
    ) -> Tensor:
        """Compute the hidden vectors of cells, given one per right-padded row or several packed in a row.

        The hidden vector of `<cls>`, a cell's first token, is the cell embedding.

        Parameters
        ----------
        token_ids_BL
            Gene ids, (B, L), 0 to V - 1; ignored at pads.
        bins_BL
            Integer bins, (B, L), -1 (hidden) to ``n_bins - 1``, of any number type; ignored at pads, even
            NaN. Pass `Batch.bins_BL`: log-normalised values (`Batch.values_BL`) are rejected.
        lengths
            Real tokens of each cell, (B,), 0 to L; for packed rows (B, S), see `ops.rows`.
        added_BLD
            Added to the embedded tokens by a task, (B, L, D), zero at pads.
        read_B
            For cells with a bag of all their genes: number of leading tokens that the layers read, (B,);
            only these get hidden vectors, so the output's L is their maximum. ``None``: an even sample of
            `config.read_tokens` genes, with zeros for the others; all tokens in packed rows.

        Returns
        -------
        Tensor
            (B, L, D), zero at pads.

        Raises
        ------
        UserError
            Rule ``token-bins``, see `check_tokens`. On a GPU only the first call checks, to avoid
            synchronising.
        """
        if bins_BL.device.type == "cpu" or not self._looked_at:
            self._looked_at = True
            check_tokens(token_ids_BL, bins_BL, lengths, self.config.n_bins)
        bags = self._bags(token_ids_BL, bins_BL, lengths)
        most, length = self.config.read_tokens, token_ids_BL.shape[1]
        order_BL: Tensor | None = None
        if read_B is None and most and lengths.dim() == 1 and length > most + 1:
            order_BL, read_B = read_first(lengths, length, most)
            order_BL = order_BL[:, : int(read_B.max())]
            token_ids_BL, bins_BL = token_ids_BL.gather(1, order_BL), bins_BL.gather(1, order_BL)
            if added_BLD is not None:
                added_BLD = added_BLD.gather(1, _over_width(order_BL, added_BLD))
        if read_B is not None:
            lengths, most = read_B, int(read_B.max())
            token_ids_BL, bins_BL = token_ids_BL[:, :most], bins_BL[:, :most]
        x_BLD = self._embed(token_ids_BL, bins_BL, lengths, bags)
        if added_BLD is not None:
            x_BLD = x_BLD + added_BLD
        for layer in self.layers:
            if self.recompute_layers and torch.is_grad_enabled():
                x_BLD = checkpoint(layer, x_BLD, lengths, self.scan_path, use_reentrant=False)
            else:
                x_BLD = layer(x_BLD, lengths, self.scan_path)
        hidden_BLD: Tensor = self.final_norm(x_BLD)
        if self.counted_cells is not None and bags is not None:
            cells_CD = self.counted_cells.read(hidden_BLD, lengths, bags).to(hidden_BLD)
            starts = cell_spans(lengths, hidden_BLD.shape[1]).starts
            hidden_BLD = hidden_BLD.flatten(0, 1).index_copy(0, starts, cells_CD).view_as(x_BLD)
        pad_BL = ~real_tokens(lengths, token_ids_BL.shape[1])
        hidden_BLD = hidden_BLD.masked_fill(pad_BL.unsqueeze(-1), 0)
        if order_BL is None:
            return hidden_BLD
        whole_BLD = hidden_BLD.new_zeros(len(order_BL), length, hidden_BLD.shape[2])
        return whole_BLD.scatter(1, _over_width(order_BL, hidden_BLD), hidden_BLD)

    def embed(self, token_ids_BL: Tensor, bins_BL: Tensor, lengths: Tensor) -> Tensor:
        """Embed genes and values, (B, L), as the trunk's input, (B, L, D), zero at pads."""
        bags = self._bags(token_ids_BL, bins_BL, lengths)
        return self._embed(token_ids_BL, bins_BL, lengths, bags)

    def _bags(self, token_ids_BL: Tensor, bins_BL: Tensor, lengths: Tensor) -> Bags | None:
        if self.counted_cells is None:
            return None
        return self.counted_cells.bags(self.gene_embedding.weight, token_ids_BL, bins_BL, lengths)

    def _embed(
        self, token_ids_BL: Tensor, bins_BL: Tensor, lengths: Tensor, bags: Bags | None
    ) -> Tensor:
        pad_BL = ~real_tokens(lengths, token_ids_BL.shape[1])
        token_ids_BL = token_ids_BL.masked_fill(pad_BL, self.config.pad_id)
        bins_BL = bins_BL.masked_fill(pad_BL, 0)
        genes_BLD: Tensor = self.gene_encoder(token_ids_BL)
        if self.counted_cells is not None and bags is not None:
            x_BLD = genes_BLD + self.counted_cells.values(bins_BL, lengths, bags)
        elif self.value_encoder is None:
            x_BLD = genes_BLD * bins_BL.to(genes_BLD.dtype).unsqueeze(-1)
        else:
            x_BLD = genes_BLD + self.value_encoder(bins_BL)
        if self.token_kinds is not None:
            x_BLD = x_BLD + self.token_kinds(token_ids_BL)
        if self.gene_bag is not None:
            starts = cell_spans(lengths, token_ids_BL.shape[1]).starts
            bags_CD = self.gene_bag(self.gene_embedding.weight, token_ids_BL, bins_BL, starts)
            x_BLD = x_BLD.flatten(0, 1).index_add(0, starts, bags_CD.to(x_BLD)).view_as(x_BLD)
        if self.input_norm is not None:
            x_BLD = self.input_norm(x_BLD, ~pad_BL)
        return x_BLD.masked_fill(pad_BL.unsqueeze(-1), 0)

    def encode(self, token_ids_BL: Tensor, bins_BL: Tensor, lengths: Tensor) -> Tensor:
        """Compute the cell embedding, the hidden vector of `<cls>`, a cell's first token.

        (B, D); for packed rows (cells, D), row by row, without empty cells.
        """
        hidden_BLD: Tensor = self(token_ids_BL, bins_BL, lengths)
        if lengths.dim() == 1:
            return hidden_BLD[:, 0]
        starts = cell_spans(lengths, hidden_BLD.shape[1]).starts
        return hidden_BLD.flatten(0, 1)[starts]


def _over_width(order_BL: Tensor, x_BLD: Tensor) -> Tensor:
    return order_BL.unsqueeze(-1).expand(-1, -1, x_BLD.shape[2])


def grow_backbone(backbone: Backbone, kind_of_token: torch.Tensor, n_kinds: int) -> Backbone:
    """Return a backbone with embedding rows for new tokens after the old ones, and token-kind embeddings.

    The kind embeddings start at zero, so the output for cells with only old tokens is unchanged, bit for
    bit. New rows are initialised as usual. `kind_of_token` (W,) int64 has the kind of every token, old ones
    first, 0 to `n_kinds` - 1.
    """
    old = backbone.config
    config = old.model_copy(update={"vocabulary_size": len(kind_of_token), "token_kinds": n_kinds})
    grown = Backbone(config)
    grown.scan_path, grown.recompute_layers = backbone.scan_path, backbone.recompute_layers
    state = dict(backbone.state_dict())
    name = "gene_encoder.embedding.weight"
    with torch.no_grad():
        rows = grown.gene_embedding.weight.detach().clone()
        rows[: old.vocabulary_size] = state[name]
    assert grown.token_kinds is not None
    state[name] = rows
    state["token_kinds.kind_of_token_V"] = kind_of_token
    state["token_kinds.embedding.weight"] = torch.zeros_like(grown.token_kinds.embedding.weight)
    grown.load_state_dict(state, strict=True)
    return grown
