"""Embeddings by simple methods: variable genes and PCA, Harmony on it in several ways, scVI where installed.

Legend: N cells, V genes, G chosen genes (in `variable_genes` all), D width of the embedding.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
import scanpy as sc
from scipy import sparse

from sc_mamba2.methods.projection import Projection, fit_projection

_FEWEST_FOR_HARMONY = 8  # of two cells harmonypy's clusters never settle


class Candidate(NamedTuple):
    """Harmony on the principal components of some genes.

    `before_ND` are the components, `corrected_ND` what Harmony made of them, `projection` their map.
    """

    projection: Projection
    before_ND: np.ndarray
    corrected_ND: np.ndarray


# By name: whether genes are scaled, and whether they were chosen within the batches.
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
    """Run Harmony as it is really used: genes scaled or not, chosen over all cells or within batches.

    Parameters
    ----------
    values_NV
        log1p(CP10K), sparse.
    overall_G, within_G
        Columns of the variable genes of either choice.
    batches
        (N,) code of each cell's batch, at least two.
    components, seed
        See `fit_projection`.
    on_step
        Called after each run, with how many there are.

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
    """Embed cells by every simple method that this machine and these cells allow.

    Parameters
    ----------
    values_NG
        log1p(CP10K), sparse.
    counts_NG
        Raw counts, or ``None``.
    batches
        (N,) code of each cell's batch, or ``None``.
    genes, components, seed
        See `variable_genes` and `pca_embedding`.
    recipes
        Whether Harmony is run by every one of `RECIPES`.

    Returns
    -------
    dict
        ``pca`` always; ``harmony``, or all `RECIPES`, where there are two batches and eight cells;
        ``scvi`` where the extra `scvi` is installed and there are counts. (N, D) float32 each.
    """
    chosen = variable_genes(values_NG, genes)
    embeddings = {"pca": pca_embedding(values_NG[:, chosen], components, seed)}
    if batches is not None and batches.any() and len(batches) >= _FEWEST_FOR_HARMONY:
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
    """Say whether the extra `scvi` is installed."""
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
        How many to keep (dispersion by mean expression, scanpy's method "seurat"); all where there
        are not more, or for ``None``. Genes that no cell expresses are never kept.
    batches
        (N,) code of each cell's batch: genes that vary within many batches come first, not those
        that tell batches apart. ``None``: all cells as one.
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
        D; one fewer than cells or genes where those are few.
    seed
        Seed of the solver's start; the same one gives the same embedding.

    Returns
    -------
    ndarray
        (N, D) float32.
    """
    components = min(components, min(values_NG.shape) - 1)
    assert components >= 1
    return sc.pp.pca(values_NG, n_comps=components, random_state=seed).astype(np.float32)


def harmony_embedding(embedding_ND: np.ndarray, batches: np.ndarray, seed: int = 0) -> np.ndarray:
    """Correct an embedding for batches by Harmony, with harmonypy's own settings.

    Korsunsky et al. 2019, "Fast, sensitive and accurate integration of single-cell data with
    Harmony".

    Parameters
    ----------
    embedding_ND
        (N, D) principal components.
    batches
        (N,) code of each cell's batch, at least two.
    seed
        Seed of its clustering; the result does not depend on the number of threads.

    Returns
    -------
    ndarray
        (N, D) float32.
    """
    from harmonypy import run_harmony

    # harmonypy makes a cluster of 30 cells; of fewer than 45 it would make one or none.
    clusters = max(2, min(100, round(len(batches) / 30)))
    # One thread: its threads wait for each other, which takes minutes where cores are shared.
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
    """Embed cells by scVI with its own settings, trained on these cells (minutes on a CPU).

    Lopez et al. 2018, "Deep generative modeling for single-cell transcriptomics".

    Parameters
    ----------
    counts_NG
        Raw counts of the chosen genes.
    batches
        (N,) code of each cell's batch, on which the decoder is conditioned; or ``None``.
    components
        D.
    seed
        Seed of its training.

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
