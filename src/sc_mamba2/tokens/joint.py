"""Tokens of several modalities in one sequence: whose a token is, cells joined, and views of them.

A token's id belongs to one modality: proteins are called ``protein:…``, peaks ``peak:…``, all other
rows are genes. Legend: B cells, L tokens, V vocabulary, M kinds, special tokens being kind 0.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sc_mamba2.genes import Vocabulary
from sc_mamba2.tokens.batches import PAD_BIN, Batch
from sc_mamba2.tokens.tokenized import TokenizedCells, offsets_of

KINDS = ("special", "rna", "protein", "atac")
_PREFIXES = {"protein:": 2, "peak:": 3}


def kinds_of(vocabulary: Vocabulary) -> np.ndarray:
    """Return the kind of every row of a vocabulary, (V,) int64, a place in `KINDS`."""
    kind_V = np.zeros(vocabulary.size, dtype=np.int64)
    kind_V[vocabulary.gene_rows] = 1
    for row in vocabulary.gene_rows:
        head, colon, _ = vocabulary.ids[row].partition(":")
        if colon:
            kind_V[row] = _PREFIXES[head + colon]
    return kind_V


def grown_vocabulary(source: Vocabulary, ids: list[str], symbols: list[str]) -> Vocabulary:
    """Return a vocabulary with new rows behind those of another one."""
    name = f"{source.name}+{len(ids)}"
    return Vocabulary(name, source.ids + tuple(ids), source.symbols + tuple(symbols))


def join_tokens(parts: list[TokenizedCells], obs: pd.DataFrame) -> TokenizedCells:
    """Put the tokens of modalities one behind the other, cell by cell.

    Parameters
    ----------
    parts
        Of the same N cells in the same order; a cell without a modality has no token there.
    obs
        Table of the cells, kept with the tokens.

    Returns
    -------
    TokenizedCells
        In a cell the tokens of the first part stand first.
    """
    cells = np.concatenate([np.repeat(np.arange(len(part)), part.lengths) for part in parts])
    order = np.argsort(cells, kind="stable")
    lengths = np.sum([part.lengths for part in parts], axis=0)
    return TokenizedCells(
        gene_rows=np.concatenate([part.gene_rows for part in parts])[order],
        bins=np.concatenate([part.bins for part in parts])[order],
        values=np.concatenate([part.values for part in parts])[order],
        offsets=offsets_of(lengths),
        obs=obs,
    )


def visible_part(batch: Batch, kind_V: Tensor, visible_BM: Tensor, pad_id: int) -> Batch:
    """Return cells of which only some modalities are seen: the other tokens are taken out.

    A cell of which a modality is hidden is the cell that never had it, token for token.

    Parameters
    ----------
    batch
        B cells; not changed.
    kind_V
        From `kinds_of`.
    visible_BM
        Bool, whether each kind of the cell is seen; `<cls>` is always kept.
    pad_id
        Id of `<pad>`.
    """
    place_L = torch.arange(batch.token_ids_BL.shape[1], device=batch.token_ids_BL.device)
    real_BL = place_L < batch.lengths_B[:, None]
    kept_BL = real_BL & visible_BM.gather(1, kind_V[batch.token_ids_BL])
    kept_BL[:, 0] = True
    lengths_B = kept_BL.sum(dim=1)
    longest = int(lengths_B.max())
    # Kept tokens first, each in its order; what then stands behind them becomes pads.
    order_BL = (~kept_BL).to(torch.int8).argsort(dim=1, stable=True)[:, :longest]
    pad_BL = place_L[:longest] >= lengths_B[:, None]
    return replace(
        batch,
        token_ids_BL=batch.token_ids_BL.gather(1, order_BL).masked_fill(pad_BL, pad_id),
        bins_BL=batch.bins_BL.gather(1, order_BL).masked_fill(pad_BL, PAD_BIN),
        values_BL=batch.values_BL.gather(1, order_BL).masked_fill(pad_BL, 0),
        lengths_B=lengths_B,
    )
