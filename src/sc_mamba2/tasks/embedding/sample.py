"""Some of the cells, evenly taken, for the scores and the pictures; a large file is never loaded."""

from typing import Any

import anndata as ad
import numpy as np
from scipy import sparse

from sc_mamba2.cells import keys
from sc_mamba2.cells.blocks import standard_blocks
from sc_mamba2.cells.opening import open_cells
from sc_mamba2.methods.integration import baseline_embeddings
from sc_mamba2.tasks.embedding.blocks import EmbeddedBlocks
from sc_mamba2.tasks.embedding.encode import BATCH
from sc_mamba2.tasks.embedding.encoder import Encoder
from sc_mamba2.tasks.embedding.params import EmbeddingOptions, EvaluationParams
from sc_mamba2.tasks.shared.backbone import encode_cells
from sc_mamba2.training import ComputeOptions, seed_everything

UNTRAINED, GENES = "X_untrained", "genes_a_cell"
SIMPLE = {"pca": "X_pca", "harmony": "X_harmony"}  # method: where its embedding lies


def sample_cells(
    embedded: EmbeddedBlocks,
    encoder: Encoder,
    options: EmbeddingOptions,
    evaluation: EvaluationParams,
    compute: ComputeOptions,
) -> ad.AnnData:
    """Take a sample, with what stands beside the model where there are keys to score by.

    Returns
    -------
    AnnData
        n cells; ``obs`` with the named keys and ``genes_a_cell``; ``obsm["X_scm"]``; with keys also
        the log-normalised expression as ``X``, the places of `SIMPLE`, and ``obsm["X_untrained"]``
        (the same model with random weights).
    """
    size = min(evaluation.cells, embedded.cells)
    positions = np.linspace(0, embedded.cells - 1, size).round().astype(np.int64)
    obs = embedded.obs.iloc[positions].copy()
    obs[GENES] = embedded.genes_a_cell()[positions]
    sample = ad.AnnData(obs=obs, obsm={keys.EMBEDDING: embedded.take(positions)})
    if embedded.obs.columns.empty or size < 2:
        return sample
    sample = _with_expression(sample, embedded, positions)
    sample.obsm.update(simple_embeddings(sample, evaluation, compute.seed))
    if evaluation.untrained:
        sample.obsm[UNTRAINED] = _untrained(sample, encoder, options, compute)
    return sample


def simple_embeddings(
    cells: ad.AnnData, params: EvaluationParams, seed: int
) -> dict[str, np.ndarray]:
    """Embed cells by the simple methods: variable genes and PCA, Harmony where all have a batch."""
    batches = cells.obs[BATCH] if BATCH in cells.obs and cells.obs[BATCH].notna().all() else None
    components = min(params.components, len(cells) - 1)
    found = baseline_embeddings(
        cells, batches, genes=params.variable_genes, components=components, seed=seed
    )
    return {SIMPLE[name]: vectors for name, vectors in found.items() if name in SIMPLE}


def _with_expression(
    sample: ad.AnnData, embedded: EmbeddedBlocks, positions: np.ndarray
) -> ad.AnnData:
    kept = np.zeros(embedded.cells, dtype=bool)
    kept[positions] = True
    with open_cells(embedded.source) as stored:
        parts: list[Any] = [
            block.X
            for block in standard_blocks(stored, embedded.form, embedded.cells_a_block, kept)
        ]
    matrix = sparse.vstack(parts, format="csr")
    return ad.AnnData(X=matrix, obs=sample.obs, var=embedded.form.var, obsm=sample.obsm)


def _untrained(
    sample: ad.AnnData, encoder: Encoder, options: EmbeddingOptions, compute: ComputeOptions
) -> np.ndarray:
    seed_everything(compute.seed)
    backbone = type(encoder.backbone)(encoder.backbone.config)
    tokens = encoder.tokenizer.tokenize(sample.X, sample.var_names.to_numpy(), sample.obs[[]])
    return encode_cells(backbone, tokens, encoder.tokenizer, options, compute)
