"""Baseline embeddings: PCA of variable genes, Harmony on it with several settings, scVI if installed.

Legend: N cells, V genes, G chosen genes (in `variable_genes` all), D width of the embedding.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
import scanpy as sc
from scipy import sparse

from sc_mamba2.methods.projection import Projection, fit_projection

_MIN_CELLS_FOR_HARMONY = 8  # with two cells harmonypy's clusters never converge


class Candidate(NamedTuple):
    """Harmony on principal components: the components before and after, and the projection onto them."""

    projection: Projection
    before_ND: np.ndarray
    corrected_ND: np.ndarray


# By name: whether genes are scaled, and whether they are chosen within batches.
RECIPES = {
    "harmony": (False, False),
    "harmony_scaled": (True, False),
    "harmony_by_batch": (False, True),
    "harmony_scaled_by_batch": (True, True),
}


def harmony_candidates(
    values_NV: sparse.csr_matrix,
    overall_G: np.ndarray,
    within_G: np.ndarray,
    batches: np.ndarray,
    components: int = 30,
    seed: int = 0,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
) -> dict[str, Candidate]:
    """Run Harmony with its usual settings: genes scaled or not, chosen over all cells or within batches.

    Parameters
    ----------
    values_NV
        log1p(CP10K), sparse.
    overall_G, within_G
        Columns of the variable genes, chosen over all cells and within batches.
    batches
        (N,) batch codes, at least two batches.
    components, seed
        See `fit_projection`.
    on_step
        Called after each run with its number, from 1, and the number of runs.

    Returns
    -------
    dict
        By the names of `RECIPES`.
    """
    found = {}
    for name, (scaled, within) in RECIPES.items():
        chosen_G = within_G if within else overall_G
        projection = fit_projection(values_NV, chosen_G, components, scaled, seed)
        before_ND = projection(values_NV)
        found[name] = Candidate(projection, before_ND, harmony_embedding(before_ND, batches, seed))
        on_step(len(found), len(RECIPES))
    return found


def integration_baselines(
    values_NG: sparse.csr_matrix,
    counts_NG: sparse.csr_matrix | None,
    batches: np.ndarray | None,
    *,
    genes: int | None = 2000,
    components: int = 30,
    recipes: bool = False,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Embed cells by every baseline method that is installed and applicable.

    Parameters
    ----------
    values_NG
        log1p(CP10K), sparse.
    counts_NG
        Raw counts, or ``None``.
    batches
        (N,) batch codes, or ``None``.
    genes, components, seed
        See `variable_genes` and `pca_embedding`.
    recipes
        Whether to run Harmony with all `RECIPES`.

    Returns
    -------
    dict
        ``pca`` always; ``harmony``, or all `RECIPES`, with at least two batches and eight cells; ``scvi``
        if the extra `scvi` is installed and counts are given. (N, D) float32 each.
    """
    chosen = variable_genes(values_NG, genes)
    embeddings = {"pca": pca_embedding(values_NG[:, chosen], components, seed)}
    if batches is not None and batches.any() and len(batches) >= _MIN_CELLS_FOR_HARMONY:
        if recipes:
            within = variable_genes(values_NG, genes, batches)
            found = harmony_candidates(values_NG, chosen, within, batches, components, seed)
            embeddings |= {name: one.corrected_ND for name, one in found.items()}
        else:
            embeddings["harmony"] = harmony_embedding(embeddings["pca"], batches, seed)
    if counts_NG is not None and scvi_available():
        embeddings["scvi"] = scvi_embedding(counts_NG[:, chosen], batches, components, seed)
    return embeddings


def scvi_available() -> bool:
    """Whether the extra `scvi` is installed."""
    return find_spec("scvi") is not None


def variable_genes(
    values_NG: sparse.csr_matrix, genes: int | None, batches: np.ndarray | None = None
) -> np.ndarray:
    """Return the columns of the most variable genes.

    Parameters
    ----------
    values_NG
        log1p(CP10K), sparse.
    genes
        How many to keep (dispersion by mean expression, scanpy's method "seurat"); ``None`` for all.
        Unexpressed genes are never kept.
    batches
        (N,) batch codes, to prefer genes that vary within many batches over those that differ between
        batches. ``None``: all cells as one batch.
    """
    usable = np.flatnonzero(np.asarray((values_NG > 0).sum(axis=0)).ravel() > 0)
    if genes is None or len(usable) <= genes:
        return usable
    plain = sc.AnnData(X=values_NG[:, usable])
    if batches is not None:
        plain.obs["batch"] = batches.astype(str)
    table = sc.pp.highly_variable_genes(
        plain,
        n_top_genes=genes,
        flavor="seurat",
        batch_key=None if batches is None else "batch",
        inplace=False,
    )
    return usable[table["highly_variable"].to_numpy()]


def pca_embedding(values_NG: sparse.csr_matrix, components: int = 30, seed: int = 0) -> np.ndarray:
    """Embed cells by the principal components of their log-normalised values.

    Parameters
    ----------
    values_NG
        The chosen genes, at least two cells and two genes.
    components
        D, at most one below the number of cells and of genes.
    seed
        Seed of the solver's start.

    Returns
    -------
    ndarray
        (N, D) float32.
    """
    components = min(components, min(values_NG.shape) - 1)
    assert components >= 1
    return sc.pp.pca(values_NG, n_comps=components, random_state=seed).astype(np.float32)


def harmony_embedding(embedding_ND: np.ndarray, batches: np.ndarray, seed: int = 0) -> np.ndarray:
    """Correct an embedding for batches by Harmony, with harmonypy's default settings.

    Korsunsky et al. 2019, "Fast, sensitive and accurate integration of single-cell data with
    Harmony".

    Parameters
    ----------
    embedding_ND
        (N, D) principal components.
    batches
        (N,) batch codes, at least two batches.
    seed
        Seed of its clustering; the result does not depend on the number of threads.

    Returns
    -------
    ndarray
        (N, D) float32.
    """
    from harmonypy import run_harmony

    # harmonypy's default is one cluster per 30 cells, so one or none for fewer than 45 cells.
    clusters = max(2, min(100, round(len(batches) / 30)))
    # One thread: several wait for each other, for minutes on shared cores.
    corrected = run_harmony(
        embedding_ND,
        {"batch": batches},
        "batch",
        nclust=clusters,
        random_state=seed,
        verbose=False,
        ncores=1,
    )
    return np.asarray(corrected.Z_corr, np.float32)


def scvi_embedding(
    counts_NG: sparse.csr_matrix, batches: np.ndarray | None, components: int = 30, seed: int = 0
) -> np.ndarray:
    """Embed cells by scVI with default settings, trained on these cells (minutes on a CPU).

    Lopez et al. 2018, "Deep generative modeling for single-cell transcriptomics".

    Parameters
    ----------
    counts_NG
        Raw counts of the chosen genes.
    batches
        (N,) batch codes, on which the decoder is conditioned; or ``None``.
    components
        D.
    seed
        Seed of the training.

    Returns
    -------
    ndarray
        (N, D) float32 means of the latent variable.
    """
    import scvi

    scvi.settings.seed = seed
    cells = sc.AnnData(X=counts_NG.copy())
    cells.obs["batch"] = np.zeros(cells.n_obs, int) if batches is None else batches
    scvi.model.SCVI.setup_anndata(cells, batch_key="batch")
    model = scvi.model.SCVI(cells, n_latent=components)
    model.train(enable_progress_bar=False)
    return model.get_latent_representation().astype(np.float32)
