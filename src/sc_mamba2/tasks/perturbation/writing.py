"""The user's control cells with the predicted cells as a layer."""

from typing import Any

import numpy as np
from anndata import AnnData
from scipy import sparse

from sc_mamba2.cells import keys
from sc_mamba2.cells.gene_columns import map_gene_names
from sc_mamba2.genes import load_gene_table


def write_cells(
    raw_cells: AnnData,
    controls: AnnData,
    predicted: sparse.csr_matrix,
    facts: dict[str, Any],
    gene_table: str,
) -> AnnData:
    """Write predicted cells into a copy of the user's control cells.

    ``layers["scm_predicted"]``, sparse: log1p(CP10K) of each control cell as if it were perturbed.
    Genes that are not predicted are empty there; ``var["scm_predicted"]`` tells them from zeros.

    Parameters
    ----------
    raw_cells
        Cells as read. `X`, the order and every key of the user's stay as they are.
    controls
        Control cells in the standard form, in the order of `predicted`.
    predicted
        (N, G) over the genes of `controls`.
    facts
        Goes to ``uns["scm"]``.
    gene_table
        Name of the table by which the user's gene names were looked up.
    """
    written = raw_cells[controls.obs_names].copy()
    ids = map_gene_names(written.var, load_gene_table(gene_table)).ensembl_ids
    place = {ident: at for at, ident in enumerate(controls.var_names)}
    # Of two columns for one gene the first has the prediction.
    columns = {}
    for column, ident in enumerate(ids):
        if ident in place and ident not in columns:
            columns[ident] = column
    source = [place[ident] for ident in columns]
    target = np.fromiter(columns.values(), dtype=np.int64, count=len(columns))
    move = sparse.csr_matrix(
        (np.ones(len(source), dtype=np.float32), (source, target)),
        shape=(controls.n_vars, written.n_vars),
    )
    written.layers[keys.PREDICTED] = sparse.csr_matrix(predicted @ move)
    written.var[keys.PREDICTED] = np.isin(np.arange(written.n_vars), target)
    written.uns[keys.FACTS] = facts
    return written
