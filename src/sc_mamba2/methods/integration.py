"""Embeddings by simple methods, beside the model: HVG + PCA, Harmony on it, scVI where installed.

Every task that gives an embedding (zero-shot, batch correction, joint) compares with them, and
tasks do not import each other: so this lies beside `parameters.py`. No torch of ours is needed.
Legend: N cells, G genes, D width of the embedding.
"""

from importlib.util import find_spec

import numpy as np
import scanpy as sc
from anndata import AnnData

from sc_mamba2.cells.keys import COUNTS_LAYER
from sc_mamba2.errors import UserError
from sc_mamba2.metrics.groups import Groups, group_codes

_FEWEST_FOR_HARMONY = 8  # of two cells harmonypy's clusters never settle


def baseline_embeddings(
    cells: AnnData,
    batches: Groups | None,
    *,
    genes: int = 2000,
    components: int = 30,
    within_batches: bool = False,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Embed cells by every simple method that this machine and these cells allow.

    Parameters
    ----------
    cells
        N cells in the standard form: ``X`` is log1p(CP10K), N x G sparse; raw counts in
        ``layers["counts"]`` where there are any. Not changed.
    batches
        (N,) batch of each cell, or ``None``.
    genes, components, seed
        See `pca_embedding`.
    within_batches
        Whether the variable genes are chosen within the batches.

    Returns
    -------
    dict
        ``pca`` always; ``harmony`` where there are two batches and eight cells; ``scvi`` where the extra `scvi` is
        installed and there are counts. (N, D) float32 each.

    Raises
    ------
    UserError
        Some cells have a batch and others have none.
    """
    codes = None if batches is None else _complete(batches)
    chosen = variable_genes(cells, genes, codes if within_batches else None)
    embeddings = {"pca": pca_embedding(chosen, components, seed)}
    if codes is not None and codes.any() and len(codes) >= _FEWEST_FOR_HARMONY:
        embeddings["harmony"] = harmony_embedding(embeddings["pca"], codes, seed)
    if find_spec("scvi") is not None and COUNTS_LAYER in cells.layers:
        embeddings["scvi"] = scvi_embedding(chosen, codes, components, seed)
    return embeddings


def variable_genes(cells: AnnData, genes: int, batches: np.ndarray | None = None) -> AnnData:
    """Return a view of the cells with their most variable genes.

    Parameters
    ----------
    cells
        N cells in the standard form.
    genes
        How many to keep (dispersion by mean expression, scanpy's method "seurat"); all where there
        are not more. Genes that no cell expresses are never kept.
    batches
        (N,) code of each cell's batch: genes that vary within many batches come first, not those
        that tell batches apart. ``None``: all cells as one.
    """
    expressed = np.asarray((cells.X > 0).sum(axis=0)).ravel() > 0
    usable = np.flatnonzero(expressed)
    if len(usable) > genes:
        plain = AnnData(X=cells.X[:, usable])
        if batches is not None:
            plain.obs["batch"] = batches.astype(str)
        table = sc.pp.highly_variable_genes(
            plain,
            n_top_genes=genes,
            flavor="seurat",
            batch_key=None if batches is None else "batch",
            inplace=False,
        )
        usable = usable[table["highly_variable"].to_numpy()]
    return cells[:, usable]


def pca_embedding(cells: AnnData, components: int = 30, seed: int = 0) -> np.ndarray:
    """Embed cells by the principal components of their log-normalised values.

    Parameters
    ----------
    cells
        N cells with the chosen genes, at least two of each.
    components
        D; one fewer than cells or genes where those are few.
    seed
        Seed of the solver's start; the same one gives the same embedding.

    Returns
    -------
    ndarray
        (N, D) float32.
    """
    components = min(components, min(cells.shape) - 1)
    assert components >= 1
    return sc.pp.pca(cells.X, n_comps=components, random_state=seed).astype(np.float32)


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
    cells: AnnData, batches: np.ndarray | None, components: int = 30, seed: int = 0
) -> np.ndarray:
    """Embed cells by scVI with its own settings, trained on these cells (minutes on a CPU).

    Lopez et al. 2018, "Deep generative modeling for single-cell transcriptomics".

    Parameters
    ----------
    cells
        N cells with the chosen genes and ``layers["counts"]``.
    batches
        (N,) code of each cell's batch, which the decoder is told; or ``None``.
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
    counts = AnnData(X=cells.layers[COUNTS_LAYER].copy())
    counts.obs["batch"] = np.zeros(cells.n_obs, int) if batches is None else batches
    scvi.model.SCVI.setup_anndata(counts, batch_key="batch")
    model = scvi.model.SCVI(counts, n_latent=components)
    model.train(enable_progress_bar=False)
    return model.get_latent_representation().astype(np.float32)


def _complete(batches: Groups) -> np.ndarray:
    codes = group_codes(batches)
    missing = int((codes < 0).sum())
    if missing:
        raise UserError(
            "batch-incomplete",
            found=f"{missing:,} of {len(codes):,} cells without a batch",
            expected="a batch for every cell",
            mend="fill the column, or leave those cells out",
        )
    return codes
