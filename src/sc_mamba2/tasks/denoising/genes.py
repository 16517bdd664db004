"""Input of denoising: whole counts, and which genes are written.

Legend: N cells, G genes of the valid cells, K written genes.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from sc_mamba2.cells import keys
from sc_mamba2.cells.gene_columns import column_ids
from sc_mamba2.errors import UserError, nearest
from sc_mamba2.genes import GeneTable, load_gene_table, map_genes
from sc_mamba2.tasks.denoising.imputed import read_imputable
from sc_mamba2.tasks.denoising.params import OutputParams, PriorParams
from sc_mamba2.tasks.denoising.pretrained import read_molecule_model
from sc_mamba2.tasks.shared.gene_names import read_names
from sc_mamba2.tasks.shared.params import IngestionParams

MIN_SIZE = 10  # cells and genes


@dataclass(frozen=True, eq=False)
class Written:
    """Which genes are written, and where.

    Attributes
    ----------
    genes_K
        Columns of the valid cells.
    places_K
        Columns of the result.
    width
        Number of columns of the result: that of the file, or K.
    names
        Names given by the user; ``None``: all genes, in the columns of the file.
    """

    genes_K: np.ndarray
    places_K: np.ndarray
    width: int
    names: tuple[str, ...] | None


def prepare(
    raw_cells: AnnData,
    valid_cells: AnnData,
    params: OutputParams,
    priors: PriorParams,
    ingestion: IngestionParams,
) -> tuple[sparse.csr_matrix, np.ndarray, Written]:
    """Check the counts; return them, (N, G), their gene ids, and which genes are written.

    Raises
    ------
    UserError
        ``denoise-counts``: no whole counts. ``denoise-cells``: fewer than ten cells or genes.
        ``gene-unknown``, ``genes-file``, ``impute-genes``: wrong gene names.
        ``denoise-size``: the result is too large.
    """
    counts_NG, table = _whole_counts(valid_cells), load_gene_table(ingestion.gene_table)
    if params.named_genes is None:
        ids = column_ids(raw_cells.var, table)
        place = {ident: at for at, ident in reversed(list(enumerate(ids)))}
        places = np.array([place.get(ident, -1) for ident in valid_cells.var_names])
        genes = np.flatnonzero(places >= 0)
        written = Written(genes, places[genes], raw_cells.n_vars, None)
    else:
        names = tuple(dict.fromkeys(read_names(params.named_genes, "genes-file")))
        genes = _named(names, valid_cells, table)
        written = Written(genes, np.arange(len(genes)), len(genes), names)
    values = valid_cells.n_obs * written.width
    if values > params.most_values:
        raise UserError(
            "denoise-size",
            found=f"{valid_cells.n_obs:,} cells and {written.width:,} genes, {values * 4 / 1e9:,.1f} GB",
            expected=f"at most {params.most_values:,} numbers (denoising.output.most_values)",
            mend="choose genes: --genes NAMES, or a file with one name per line",
        )
    ids_G = valid_cells.var_names.to_numpy(dtype=str)
    if params.imputed_genes is not None:
        read_imputable(params.imputed_genes, ids_G, read_molecule_model(priors.checkpoint), table)
    return counts_NG, ids_G, written


def _whole_counts(cells: AnnData) -> sparse.csr_matrix:
    """Return the counts; raise if they are not whole, or there are too few cells or genes."""
    counts = cells.layers.get(keys.COUNTS_LAYER)
    if counts is None or not np.array_equal(counts.data, np.rint(counts.data)):
        raise UserError(
            "denoise-counts",
            found="no counts" if counts is None else "counts with decimals",
            expected="whole counts of molecules or reads, so that single ones can be held out",
            mend='keep the counts in layers["counts"] or raw, or name their layer with --layer',
        )
    if min(cells.shape) < MIN_SIZE:
        raise UserError(
            "denoise-cells",
            found=f"{cells.n_obs} cells and {cells.n_vars} genes",
            expected=f"at least {MIN_SIZE} of each",
            mend="give more cells",
        )
    return counts


def _named(names: tuple[str, ...], cells: AnnData, table: GeneTable) -> np.ndarray:
    """Return the columns of named genes, (K,)."""
    genes = pd.Index(cells.var_names).get_indexer(map_genes(names, table).ensembl_ids)
    missing = [name for name, at in zip(names, genes, strict=True) if at < 0]
    if missing:
        raise UserError(
            "gene-unknown",
            found=f"{len(missing)} genes that the cells lack: {', '.join(missing[:5])}",
            expected="symbols or Ensembl ids of genes that were read",
            mend="correct --genes" + nearest(missing[0], cells.var[keys.SYMBOL].to_numpy(str)),
        )
    return genes
