"""The input of the trunk: gene embedding, value encoders, the norm of their sum.

There is no positional encoding. B cells, L tokens, D width, V vocabulary.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from sc_mamba2.model.config import ModelConfig
from sc_mamba2.tokens import Batch

LARGEST_VALUE = 512.0


class GeneEncoder(nn.Module):
    """Embedding of gene ids, then layer norm. The row of `<pad>` stays zero."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(
            config.vocabulary_size, config.d_model, padding_idx=config.pad_id
        )
        self.norm = nn.LayerNorm(config.d_model)
        nn.init.normal_(self.embedding.weight, std=config.initializer_std)
        with torch.no_grad():
            self.embedding.weight[config.pad_id] = 0

    def forward(self, token_ids_BL: Tensor) -> Tensor:
        """Embed ids, (B, L) to (B, L, D)."""
        embedded_BLD: Tensor = self.norm(self.embedding(token_ids_BL))
        return embedded_BLD


class ContinuousValueEncoder(nn.Module):
    """Encoder of continuous values: clamp at 512, linear, ReLU, linear, layer norm, dropout."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.linear1 = nn.Linear(1, config.d_model)
        self.linear2 = nn.Linear(config.d_model, config.d_model)
        self.norm = nn.LayerNorm(config.d_model)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, values_BL: Tensor) -> Tensor:
        """Encode values, (B, L) to (B, L, D)."""
        clamped_BL1 = values_BL.to(self.linear1.weight.dtype).unsqueeze(-1).clamp(max=LARGEST_VALUE)
        hidden_BLD = functional.relu(self.linear1(clamped_BL1))
        encoded_BLD: Tensor = self.dropout(self.norm(self.linear2(hidden_BLD)))
        return encoded_BLD


class CategoricalValueEncoder(nn.Module):
    """Encoder of binned values: one embedding per bin, then layer norm. Values outside the bins are clamped."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.n_bins, config.d_model)
        self.norm = nn.LayerNorm(config.d_model)
        nn.init.normal_(self.embedding.weight, std=config.initializer_std)

    def forward(self, values_BL: Tensor) -> Tensor:
        """Encode bins, (B, L) to (B, L, D)."""
        bins_BL = values_BL.clamp(0, self.embedding.num_embeddings - 1).round().long()
        encoded_BLD: Tensor = self.norm(self.embedding(bins_BL))
        return encoded_BLD


class TokenKinds(nn.Module):
    """One embedding per kind of token, such as a modality; initialised to zero, so without effect."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.token_kinds, config.d_model)
        nn.init.zeros_(self.embedding.weight)
        self.kind_of_token_V: torch.Tensor
        kinds = torch.zeros(config.vocabulary_size, dtype=torch.int64)
        self.register_buffer("kind_of_token_V", kinds)

    def forward(self, token_ids_BL: Tensor) -> Tensor:
        """Embed the kinds of tokens, (B, L) ids to (B, L, D)."""
        embedded_BLD: Tensor = self.embedding(self.kind_of_token_V[token_ids_BL])
        return embedded_BLD


class GeneBag(nn.Module):
    """A cell without order or context: ``Linear(LayerNorm(sum_l v_l / v_max E[g_l]))``.

    E is the gene embedding before its layer norm, v the bins; hidden ones (below 0) count as 0.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.highest = config.n_bins - 1
        self.norm = nn.LayerNorm(config.d_model)
        self.linear = nn.Linear(config.d_model, config.d_model)

    def forward(
        self, embedding_VD: Tensor, token_ids_BL: Tensor, values_BL: Tensor, starts: Tensor
    ) -> Tensor:
        """Sum up the cells that begin at `starts`, indices into all B L tokens, to (cells, D).

        A cell extends to the next one's start; pads between them have the value 0.
        """
        weights_BL = values_BL.to(embedding_VD.dtype).clamp(min=0) / self.highest
        # The first bag must begin at token 0, which may be a pad: an extra bag is prepended and dropped.
        bags = functional.embedding_bag(
            token_ids_BL.flatten().long(),
            embedding_VD,
            functional.pad(starts, (1, 0)),
            mode="sum",
            per_sample_weights=weights_BL.flatten(),
        )
        summed: Tensor = self.linear(self.norm(bags[1:]))
        return summed


def value_encoder(config: ModelConfig) -> nn.Module | None:
    """Build the value encoder; `None` for "scaling", a plain factor, and for "counts" (`counted_cells`)."""
    if config.value_encoder in ("scaling", "counts"):
        return None
    kinds = {"continuous": ContinuousValueEncoder, "categorical": CategoricalValueEncoder}
    return kinds[config.value_encoder](config)


class RealTokenBatchNorm(nn.BatchNorm1d):
    """Batch norm over the width with statistics of real tokens only.

    Evaluation uses the running statistics, so a cell's output does not depend on its batch.
    """

    def forward(self, x_BLD: Tensor, real_BL: Tensor) -> Tensor:  # type: ignore[override]
        """Normalise the real tokens, (B, L, D); pads become zero."""
        normed_BLD = torch.zeros_like(x_BLD)
        real_TD = x_BLD[real_BL]
        # torch raises for a batch of one token: use the running statistics, without updating them.
        if self.training and len(real_TD) < 2:
            moments = (self.running_mean, self.running_var)
            normed_TD = functional.batch_norm(
                real_TD, *moments, self.weight, self.bias, False, 0.0, self.eps
            )
        else:
            normed_TD = super().forward(real_TD)
        return normed_BLD.masked_scatter(real_BL.unsqueeze(-1), normed_TD.to(x_BLD.dtype))


class TokenLayerNorm(nn.LayerNorm):
    """Layer norm with the signature of the input norms."""

    def forward(self, x_BLD: Tensor, real_BL: Tensor) -> Tensor:  # type: ignore[override]
        """Normalise every token, (B, L, D)."""
        return super().forward(x_BLD)


def input_norm(config: ModelConfig) -> nn.Module | None:
    """Build the norm of the embedded tokens, called with ``(x_BLD, real_BL)``; may be `None`."""
    if config.input_norm == "none":
        return None
    kinds = {"layer": TokenLayerNorm, "batch": RealTokenBatchNorm}
    return kinds[config.input_norm](config.d_model, eps=config.input_norm_eps)


def sum_of_genes(batch: Batch, table_VX: Tensor) -> Tensor:
    """Sum the rows of a table over a cell's genes, weighted by their log-normalised values.

    Parameters
    ----------
    batch
        B cells; `<cls>` and pads have the value 0.
    table_VX
        One row per token of the vocabulary, (V, X), such as the gene embedding.

    Returns
    -------
    Tensor
        (B, X).
    """
    return functional.embedding_bag(
        batch.token_ids_BL, table_VX, mode="sum", per_sample_weights=batch.values_BL.to(table_VX)
    )
