"""Baseline embeddings on an even sample of the cells.

Scores and figures use only this sample, so that a large file is never loaded.
"""

import anndata as ad
import numpy as np
from scipy import sparse

from sc_mamba2.cells import keys
from sc_mamba2.cells.blocks import standard_blocks
from sc_mamba2.cells.opening import open_cells
from sc_mamba2.tasks.embedding.blocks import BATCH, EmbeddedBlocks
from sc_mamba2.tasks.embedding.model import Encoder
from sc_mamba2.tasks.embedding.params import EmbeddingOptions, EvaluationParams
from sc_mamba2.tasks.shared.backbone import encode_cells
from sc_mamba2.tasks.shared.integration_baselines import baseline_embeddings
from sc_mamba2.tasks.shared.tokenization import tokenize_cells
from sc_mamba2.training import ComputeOptions, seed_everything

GENES = "genes_a_cell"
SIMPLE = ("pca", "harmony")
# The key in obsm of each method's embedding.
METHODS = {"model": keys.EMBEDDING, "untrained": "X_untrained"} | {f: f"X_{f}" for f in SIMPLE}


def sample_cells(
    embedded: EmbeddedBlocks,
    encoder: Encoder,
    options: EmbeddingOptions,
    evaluation: EvaluationParams,
    compute: ComputeOptions,
) -> ad.AnnData:
    """Sample cells and, if labels or batches are named for scores, embed them by the baselines.

    Returns
    -------
    AnnData
        n cells; ``obs`` with the named keys and ``genes_a_cell``; ``obsm["X_scm"]``; with keys also
        the log-normalised expression as ``X``, ``obsm["X_pca"]``, ``obsm["X_harmony"]`` if all cells
        have a batch, and ``obsm["X_untrained"]`` (the same model with random weights).
    """
    size = min(evaluation.cells, embedded.cells)
    positions = np.linspace(0, embedded.cells - 1, size).round().astype(np.int64)
    obs = embedded.obs.iloc[positions].copy()
    obs[GENES] = embedded.genes_a_cell()[positions]
    obsm = {keys.EMBEDDING: embedded.take(positions)}
    if embedded.obs.columns.empty or size < 2:
        return ad.AnnData(obs=obs, obsm=obsm)
    matrix, var = _read_expression(embedded, positions), embedded.form.var
    sample = ad.AnnData(X=matrix, obs=obs, var=var, obsm=obsm)
    baselines = baseline_embeddings(
        sample,
        obs[BATCH] if BATCH in obs and obs[BATCH].notna().all() else None,
        genes=evaluation.variable_genes,
        components=min(evaluation.components, size - 1),
        seed=compute.seed,
    )
    if evaluation.untrained:
        baselines["untrained"] = _embed_untrained(sample, encoder, options, compute)
    for name in METHODS.keys() & baselines.keys():
        sample.obsm[METHODS[name]] = baselines[name]
    return sample


def _read_expression(embedded: EmbeddedBlocks, positions: np.ndarray) -> sparse.csr_matrix:
    kept = np.zeros(embedded.cells, dtype=bool)
    kept[positions] = True
    with open_cells(embedded.source) as stored:
        blocks = standard_blocks(stored, embedded.form, embedded.cells_a_block, kept)
        return sparse.vstack([block.X for block in blocks], format="csr")


def _embed_untrained(
    sample: ad.AnnData, encoder: Encoder, options: EmbeddingOptions, compute: ComputeOptions
) -> np.ndarray:
    seed_everything(compute.seed)
    backbone = type(encoder.backbone)(encoder.backbone.config)
    tokens = tokenize_cells(sample, encoder.tokenizer, with_obs=False)
    return encode_cells(backbone, tokens, encoder.tokenizer, options, compute)
