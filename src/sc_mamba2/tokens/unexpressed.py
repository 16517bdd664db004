"""Genes that a cell does not express: drawn by hash, and put among the cell's own. Used by `masking`.

Legend: B cells, L tokens of the longest cell with `<cls>`, M draws, N = L + M, G genes to draw from.
"""

import numpy as np

from sc_mamba2.tokens.hashing import hash_of

_SPARE = 16
_BITS = 32  # an id and its place fit into one whole number, so that a sort moves both
_LOW = 2**_BITS - 1


def draw_unexpressed(
    token_ids_BL: np.ndarray, genes_G: np.ndarray, wanted_B: np.ndarray, keys_B1: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draw genes one after another, and keep each cell's first ones that are new to it.

    Draw m of a cell is a function of its key and m alone, so that the number of draws, which the
    longest cell of the batch decides, changes nothing.

    Parameters
    ----------
    token_ids_BL
        Genes that the cells express; `<cls>` and pads may be among them.
    genes_G
        Rows to draw from, each once.
    wanted_B
        How many each cell should get; it gets fewer where there are no more.
    keys_B1
        uint64, what a cell's chance comes from.

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
    """Order every cell's tokens by id, the first column first whatever its id.

    Returns
    -------
    place_BL, real_BL
        Where in the flattened (B, N) each token of the ordered cells stands, and which of them are
        there; L is the longest cell's number of tokens.
    """
    keys_BN = np.where(present_BN, _with_places(ids_BN), np.iinfo(np.int64).max)
    keys_BN[:, 0] = 0
    keys_BN.sort(axis=1)
    lengths_B1 = present_BN.sum(axis=1)[:, None]
    real_BL = np.arange(lengths_B1.max(initial=0)) < lengths_B1
    place_BL = np.where(real_BL, keys_BN[:, : real_BL.shape[1]] & _LOW, 0)
    return _flat(place_BL, ids_BN.shape[1]), real_BL


def _is_new(token_ids_BL: np.ndarray, genes_BM: np.ndarray) -> np.ndarray:
    """Tell which draws are in no token and no earlier draw of their cell."""
    keys_BN = _with_places(np.concatenate([token_ids_BL, genes_BM], axis=1))
    keys_BN.sort(axis=1)
    first_BN = np.diff(keys_BN >> _BITS, prepend=-1, axis=1) > 0
    new_BN = np.empty_like(first_BN)
    new_BN.reshape(-1)[_flat(keys_BN & _LOW, keys_BN.shape[1])] = first_BN
    return new_BN[:, token_ids_BL.shape[1] :]


def _flat(place_BL: np.ndarray, width: int) -> np.ndarray:
    """Turn places within rows of `width` into places in the flattened array: faster to follow."""
    return place_BL + np.arange(len(place_BL))[:, None] * width


def _with_places(ids_BN: np.ndarray) -> np.ndarray:
    return (ids_BN << _BITS) | np.arange(ids_BN.shape[1])
