"""From the corrected embedding to the user's cells with it, and with the corrected expression."""

from typing import Any

import numpy as np
import torch
from anndata import AnnData
from scipy import sparse

from sc_mamba2.cells import keys
from sc_mamba2.cells.gene_columns import map_gene_names
from sc_mamba2.genes import load_gene_table
from sc_mamba2.tasks.batch_correction.model import BatchCorrectionModel

CELLS_AT_ONCE = 1024


def integrate(
    raw_cells: AnnData, embedding_NE: np.ndarray, cells: list[str], facts: dict[str, Any]
) -> AnnData:
    """Write the embedding into a copy of the user's cells.

    Parameters
    ----------
    raw_cells
        Cells as read. `X`, the order and every key of the user's stay as they are.
    embedding_NE
        One row for each of `cells`.
    cells
        Names of the cells of the embedding.
    facts
        Goes to ``uns["scm"]``.
    """
    written = raw_cells.copy()
    order = {name: row for row, name in enumerate(cells)}
    rows = [order[name] for name in written.obs_names]
    written.obsm[keys.CORRECTED] = embedding_NE[rows].astype(np.float32)
    written.uns[keys.FACTS] = facts
    return written


def add_expression(written: AnnData, model: BatchCorrectionModel, gene_table: str) -> AnnData:
    """Add the corrected expression of the model's genes, in place, and return the cells.

    ``layers["scm_corrected"]``, sparse: log1p(CP10K) as the decoder tells it for every cell as if
    it were of the mean batch, not below 0. Genes that the model does not use are empty there;
    ``var["scm_corrected"]`` tells them apart from zeros.

    Parameters
    ----------
    written
        The user's cells with ``obsm["X_scm_corrected"]``.
    model
        The model that embedded them.
    gene_table
        Name of the table by which the user's gene names were looked up.
    """
    ids = map_gene_names(written.var, load_gene_table(gene_table)).ensembl_ids
    vocabulary = model.tokenizer.vocabulary
    rows_G = vocabulary.rows_of(ids)
    known = np.isin(rows_G, vocabulary.gene_rows)
    # Of two columns for one gene the first has the expression.
    first = np.zeros(len(rows_G), dtype=bool)
    first[np.unique(np.where(known, rows_G, -1), return_index=True)[1]] = True
    columns = np.flatnonzero(known & first)
    blocks = []
    for start in range(0, written.n_obs, CELLS_AT_ONCE):
        part_BE = torch.from_numpy(written.obsm[keys.CORRECTED][start : start + CELLS_AT_ONCE])
        decoded_BV = model.corrected_expression(part_BE).numpy()
        block = sparse.csc_matrix(decoded_BV[:, rows_G[columns]])
        spread = sparse.csc_matrix(
            (block.data, block.indices, _spread(block.indptr, columns, written.n_vars)),
            shape=(block.shape[0], written.n_vars),
        )
        blocks.append(spread.tocsr())
    written.layers[keys.CORRECTED_LAYER] = sparse.vstack(blocks, format="csr")
    written.var[keys.CORRECTED_LAYER] = np.isin(np.arange(written.n_vars), columns)
    return written


def _spread(indptr: np.ndarray, columns: np.ndarray, width: int) -> np.ndarray:
    """Put the columns of a CSC matrix, by their pointers, at places of a wider one."""
    lengths = np.zeros(width, dtype=np.int64)
    lengths[columns] = np.diff(indptr)
    return np.concatenate([[0], np.cumsum(lengths)])
