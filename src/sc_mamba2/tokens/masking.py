"""Pretraining masks: which tokens of a batch are hidden or left out, which unexpressed genes are added.

All randomness is a function of (seed, epoch, cell, gene or draw): the same in any batch, on any rank.

Legend: B cells, L tokens of the longest cell with `<cls>`, M draws, N = L + M, G genes to draw from,
O genes of a cell that are left out.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from sc_mamba2.tokens.batches import PAD_BIN, Batch, moved
from sc_mamba2.tokens.hashing import as_uniform, hash_of
from sc_mamba2.tokens.options import MaskOptions
from sc_mamba2.tokens.tokenizer import Tokenizer

MASK_BIN = -1.0  # between pads (-2) and zero (0)
_RATIO, _TOKEN, _ZERO, _SHARE, _LEFT_OUT = range(5)  # separate random streams


@dataclass(frozen=True)
class MaskedBatch:
    """A batch with hidden values to predict.

    ``Backbone(token_ids_BL, inputs_BL, lengths_B)`` reads it.

    Attributes
    ----------
    token_ids_BL
        int64, `<cls>`, then genes in vocabulary order, including added ones, then `<pad>`.
    inputs_BL
        float32, the channel, with -1 at hidden tokens, 0 at `<cls>`, -2 at pads.
    mask_BL
        bool, the hidden tokens: never `<cls>`, never a pad.
    target_BL
        float32, the true channel; 0 at added genes, at `<cls>` and at pads.
    lengths_B
        int64, real tokens, including `<cls>` and the added genes.
    left_out_BO
        int64, the cell's expressed genes that are not tokens, then `<pad>`.
    left_out_mask_BO
        bool, which of them are genes.
    cells_B
        int64, positions of the cells in the tokenised set.
    """

    token_ids_BL: Tensor
    inputs_BL: Tensor
    mask_BL: Tensor
    target_BL: Tensor
    lengths_B: Tensor
    cells_B: Tensor
    left_out_BO: Tensor
    left_out_mask_BO: Tensor

    def without_targets(self) -> "MaskedBatch":
        """Return the batch with nothing to predict and without cells."""
        nothing = [torch.zeros_like(part) for part in (self.mask_BL, self.left_out_mask_BO)]
        return replace(
            self, mask_BL=nothing[0], left_out_mask_BO=nothing[1], cells_B=self.cells_B[:0]
        )

    def to(self, device: torch.device | str) -> "MaskedBatch":
        """Return the batch on another device."""
        return MaskedBatch(
            *(moved(getattr(self, name), device) for name in self.__dataclass_fields__)
        )


def mask_tokens(
    batch: Batch,
    tokenizer: Tokenizer,
    options: MaskOptions,
    seed: int,
    epoch: int,
    zero_genes: np.ndarray | None = None,
    cut_B: np.ndarray | None = None,
) -> MaskedBatch:
    """Hide some of each cell's tokens, leave some out, and add unexpressed genes to predict.

    A ratio r is drawn uniformly from the range for each cell, and each of its genes is hidden with
    probability r: the model sees the gene, not its value. In the same way a share of its genes is
    left out: the model sees neither. A cell of n genes gets ``round(zero_share n)`` genes that it
    does not express, each set of that size equally likely; they are always hidden. None are added to a
    cell that fills `max_length`: a gene that was cut off cannot be told from an unexpressed one.

    Parameters
    ----------
    batch
        On the CPU; its `cells_B` identify the cells.
    tokenizer
        The one that made the tokens.
    options
        Ratios and channel.
    seed, epoch
        Not negative. Copies of a cell within an epoch have the same mask.
    zero_genes
        (G,) vocabulary rows that may be added, such as the genes that a study measured; ``None``: all
        genes of the vocabulary.
    cut_B
        (B,) bool, cells truncated at `max_length` when tokenised; ``None``: those of that length.
        Needed if genes were dropped since.

    Returns
    -------
    MaskedBatch
        As long as its longest cell.
    """
    token_ids_BL, lengths_B = batch.token_ids_BL.numpy(), batch.lengths_B.numpy()
    cells_B1 = batch.cells_B.numpy()[:, None]
    real_BL = np.arange(token_ids_BL.shape[1]) < lengths_B[:, None]

    def chosen(least: float, most: float, of_cell: int, of_token: int) -> np.ndarray:
        """Choose real tokens with a probability drawn per cell."""
        share_B1 = least + (most - least) * as_uniform(hash_of(seed, epoch, of_cell, cells_B1))
        return real_BL & (
            as_uniform(hash_of(seed, epoch, of_token, cells_B1, token_ids_BL)) < share_B1
        )

    mask_BL = chosen(options.min_ratio, options.max_ratio, _RATIO, _TOKEN)
    left_out_BL = chosen(0, options.left_out, _SHARE, _LEFT_OUT)
    mask_BL[:, 0] = left_out_BL[:, 0] = False
    mask_BL &= ~left_out_BL

    genes_G = tokenizer.vocabulary.gene_rows if zero_genes is None else np.unique(zero_genes)
    wanted_B = np.rint(options.zero_share * (lengths_B - 1)).astype(np.int64)
    wanted_B[lengths_B >= tokenizer.rules.max_length if cut_B is None else cut_B] = 0
    keys_B1 = hash_of(seed, epoch, _ZERO, cells_B1)
    added_BM, drawn_BM = draw_unexpressed(token_ids_BL, genes_G, wanted_B, keys_B1)

    channel_BL = batch.bins_BL if options.channel == "bins" else batch.values_BL
    left_out_BO, is_there_BO = _in_front(token_ids_BL, left_out_BL, tokenizer.vocabulary.pad_id)
    arranged = _arranged(
        ids_BN=np.concatenate([token_ids_BL, added_BM], axis=1),
        present_BN=np.concatenate([real_BL & ~left_out_BL, drawn_BM], axis=1),
        mask_BN=np.concatenate([mask_BL, drawn_BM], axis=1),
        target_BN=np.pad(channel_BL.numpy(), ((0, 0), (0, added_BM.shape[1]))),
        pad_id=tokenizer.vocabulary.pad_id,
    )
    arrays = (*arranged, cells_B1[:, 0], left_out_BO, is_there_BO)
    return MaskedBatch(*map(torch.from_numpy, arrays))


def _in_front(
    ids_BL: np.ndarray, chosen_BL: np.ndarray, pad_id: int
) -> tuple[np.ndarray, np.ndarray]:
    """Move each row's chosen ids to the front, in order, followed by pads, (B, O)."""
    counts_B = chosen_BL.sum(axis=1)
    is_there_BO = np.arange(counts_B.max(initial=0)) < counts_B[:, None]
    ids_BO = np.full(is_there_BO.shape, pad_id, dtype=np.int64)
    ids_BO[is_there_BO] = ids_BL[chosen_BL]
    return ids_BO, is_there_BO


def _arranged(
    ids_BN: np.ndarray,
    present_BN: np.ndarray,
    mask_BN: np.ndarray,
    target_BN: np.ndarray,
    pad_id: int,
) -> tuple[np.ndarray, ...]:
    """Put the present tokens in vocabulary order, and set the mask and pad values."""
    place_BL, real_BL = vocabulary_order(ids_BN, present_BN)
    token_ids_BL, mask_BL, target_BL = (
        np.where(real_BL, column_BN.take(place_BL), at_pads)
        for column_BN, at_pads in ((ids_BN, pad_id), (mask_BN, False), (target_BN, np.float32(0)))
    )
    inputs_BL = np.where(mask_BL, np.float32(MASK_BIN), target_BL)
    inputs_BL[~real_BL] = PAD_BIN
    return token_ids_BL, inputs_BL, mask_BL, target_BL, real_BL.sum(axis=1)


_SPARE = 16
_BITS = 32  # an id and its position share one integer, so that a sort moves both
_LOW = 2**_BITS - 1


def draw_unexpressed(
    token_ids_BL: np.ndarray, genes_G: np.ndarray, wanted_B: np.ndarray, keys_B1: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draw genes one after another, and keep the first ones that are new to each cell.

    Draw m of a cell is a function of its key and m alone, so the number of draws, which depends on
    the longest cell of the batch, changes nothing.

    Parameters
    ----------
    token_ids_BL
        Genes that the cells express; may contain `<cls>` and pads.
    genes_G
        Rows to draw from, each once.
    wanted_B
        Number of genes for each cell; it gets fewer if there are no more.
    keys_B1
        uint64, random key of each cell.

    Returns
    -------
    genes_BM, kept_BM
        The draws, int64, and which of them are kept.
    """
    wanted_B = np.minimum(wanted_B, len(genes_G) - np.isin(token_ids_BL, genes_G).sum(axis=1))
    draws = _SPARE + 2 * wanted_B.max() if wanted_B.any() else 0
    while True:
        bits_BM = hash_of(keys_B1, np.arange(draws))
        genes_BM = genes_G[(bits_BM % np.uint64(len(genes_G))).astype(np.int64)]
        new_BM = _is_new(token_ids_BL, genes_BM)
        count_BM = np.cumsum(new_BM, axis=1)
        if not draws or (count_BM[:, -1] >= wanted_B).all():
            return genes_BM, new_BM & (count_BM <= wanted_B[:, None])
        draws *= 2


def vocabulary_order(ids_BN: np.ndarray, present_BN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order every cell's tokens by id, keeping the first column first.

    Returns `place_BL`, the position of each ordered token in the flattened (B, N), and `real_BL`, which
    of them are present; L is the longest cell's number of tokens.
    """
    keys_BN = np.where(present_BN, _with_places(ids_BN), np.iinfo(np.int64).max)
    keys_BN[:, 0] = 0
    keys_BN.sort(axis=1)
    lengths_B1 = present_BN.sum(axis=1)[:, None]
    real_BL = np.arange(lengths_B1.max(initial=0)) < lengths_B1
    place_BL = np.where(real_BL, keys_BN[:, : real_BL.shape[1]] & _LOW, 0)
    return _flat(place_BL, ids_BN.shape[1]), real_BL


def _is_new(token_ids_BL: np.ndarray, genes_BM: np.ndarray) -> np.ndarray:
    """Return which draws are not a token and not an earlier draw of their cell."""
    keys_BN = _with_places(np.concatenate([token_ids_BL, genes_BM], axis=1))
    keys_BN.sort(axis=1)
    first_BN = np.diff(keys_BN >> _BITS, prepend=-1, axis=1) > 0
    new_BN = np.empty_like(first_BN)
    new_BN.reshape(-1)[_flat(keys_BN & _LOW, keys_BN.shape[1])] = first_BN
    return new_BN[:, token_ids_BL.shape[1] :]


def _flat(place_BL: np.ndarray, width: int) -> np.ndarray:
    """Convert positions within rows of `width` to positions in the flattened array: faster to index."""
    return place_BL + np.arange(len(place_BL))[:, None] * width


def _with_places(ids_BN: np.ndarray) -> np.ndarray:
    return (ids_BN << _BITS) | np.arange(ids_BN.shape[1])
