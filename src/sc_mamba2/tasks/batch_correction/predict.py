"""Prepare cells of known batches for a trained model, and add its results to the user's cells."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from scipy import sparse

from sc_mamba2.cells import keys
from sc_mamba2.cells.gene_columns import column_ids
from sc_mamba2.genes import load_gene_table
from sc_mamba2.tasks.batch_correction.candidates import Candidates
from sc_mamba2.tasks.batch_correction.fit import separate_truth
from sc_mamba2.tasks.batch_correction.model import BatchCorrectionModel
from sc_mamba2.tasks.batch_correction.params import KeyParams, OutputParams
from sc_mamba2.tasks.shared.batches import read_known_batches
from sc_mamba2.tasks.shared.facts import output_facts
from sc_mamba2.tasks.shared.params import IngestionParams
from sc_mamba2.tasks.shared.tokenization import tokenize_cells
from sc_mamba2.tokens import TokenizedCells

CELLS_AT_ONCE = 1024


def prepare_known(
    valid_cells: AnnData, model: BatchCorrectionModel, params: KeyParams
) -> tuple[TokenizedCells, pd.DataFrame]:
    """Return tokens and truth like `fit.prepare`, for cells of the model's batches under its batch key."""
    batches = read_known_batches(valid_cells.obs, model.batch_key, model.batches)
    cells, truth = separate_truth(valid_cells, batches, params)
    return tokenize_cells(cells, model.tokenizer), truth


def write_integrated(
    raw_cells: AnnData,
    outputs: dict[str, np.ndarray],
    model: BatchCorrectionModel,
    validation_report: dict[str, Any],
    run_info: dict[str, Any],
    params: OutputParams,
    ingestion: IngestionParams,
    candidates: Candidates | None = None,
) -> AnnData:
    """Write the embedding, optional outputs and facts into a copy of the cells.

    `X`, the order and the user's keys stay unchanged. Optional: ``obsm["X_scm_corrected_<name>"]`` of
    every candidate; ``layers["scm_corrected"]`` (see `corrected_layer`) with ``var["scm_corrected"]``,
    the genes that have values in it.
    """
    written = raw_cells.copy()
    embedding_NE = outputs["embedding"].astype(np.float32)
    written.obsm[keys.CORRECTED] = embedding_NE
    own = {"batch_key": model.batch_key, "batches": np.asarray(model.batches, dtype=object)}
    vocabulary = model.tokenizer.vocabulary
    facts = output_facts(run_info, validation_report, model.sha256(), vocabulary.sha256)
    if model.weights:
        own["weights"] = dict(model.weights)
    written.uns[keys.FACTS] = facts | own
    if params.candidates and candidates is not None:
        for name, embedding in candidates.embeddings.items():
            written.obsm[f"{keys.CORRECTED}_{name}"] = embedding.astype(np.float32)
    if params.expression:
        ids = column_ids(written.var, load_gene_table(ingestion.gene_table))
        layer, decoded = corrected_layer(model, embedding_NE, vocabulary.rows_of(ids))
        written.layers[keys.CORRECTED_LAYER] = layer
        written.var[keys.CORRECTED_LAYER] = decoded
    return written


def corrected_layer(
    model: BatchCorrectionModel, embedding_NE: np.ndarray, rows_G: np.ndarray
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Decode log1p(CP10K), at least 0, of every cell as if it came from the mean batch.

    Parameters
    ----------
    rows_G
        Vocabulary rows of the G columns; columns whose row is not that of a gene are skipped.

    Returns
    -------
    layer
        (N, G); empty in columns of genes that the model does not use.
    decoded
        (G,) bool, which columns have values; for duplicate genes only the first column.
    """
    known = np.isin(rows_G, model.tokenizer.vocabulary.gene_rows)
    first = np.zeros(len(rows_G), dtype=bool)
    first[np.unique(np.where(known, rows_G, -1), return_index=True)[1]] = True
    decoded = known & first
    columns = np.flatnonzero(decoded)
    blocks = []
    for start in range(0, len(embedding_NE), CELLS_AT_ONCE):
        part_BE = torch.from_numpy(embedding_NE[start : start + CELLS_AT_ONCE])
        decoded_BV = model.corrected_expression(part_BE).numpy()
        block = sparse.csr_matrix(decoded_BV[:, rows_G[columns]])
        spread = block.data, columns[block.indices], block.indptr
        blocks.append(sparse.csr_matrix(spread, shape=(len(part_BE), len(rows_G))))
    return sparse.vstack(blocks, format="csr"), decoded
