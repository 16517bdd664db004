"""Simple methods beside the model: principal components of each modality and of all, ridge a feature.

All are fitted to every cell that is not scored. N cells, P features.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import scanpy as sc
from scipy import sparse
from sklearn.linear_model import RidgeCV

from sc_mamba2.methods.integration import harmony_embedding
from sc_mamba2.tasks.multiomics.design import has, scored_cells
from sc_mamba2.tasks.multiomics.params import BaselineParams
from sc_mamba2.tasks.shared.batches import BATCH
from sc_mamba2.tokens import KINDS, TokenizedCells, Tokenizer, as_matrix, kinds_of

_CONCATENATED = "concatenated_pca"


def modality_values(tokens: TokenizedCells, tokenizer: Tokenizer) -> dict[str, sparse.csr_matrix]:
    """Return the values of each modality that the cells have any of, N x its features."""
    kind_V = kinds_of(tokenizer.vocabulary)
    values_NV = as_matrix(tokens, tokenizer.vocabulary.size)
    kinds = [kind for kind in KINDS[1:] if has(kind) in tokens.obs]
    return {kind: values_NV[:, np.flatnonzero(kind_V == KINDS.index(kind))] for kind in kinds}


def baseline_embeddings(
    values: dict[str, sparse.csr_matrix], design: pd.DataFrame, params: BaselineParams, seed: int
) -> dict[str, np.ndarray]:
    """Embed the cells by principal components, fitted without the cells that are scored.

    Returns
    -------
    dict
        ``pca_m`` of every modality, ``concatenated_pca``: all of them side by side, each scaled to a
        variance of 1 in all, and ``harmony`` on that where there are batches. A modality that a cell lacks
        counts as its mean.
    """
    found = {}
    for kind, own in values.items():
        have = design[has(kind)].to_numpy(bool)
        fitted = have & ~scored_cells(design)
        if fitted.sum() < 3:
            return {}
        scores = _components(own, fitted, params.components, seed)
        scores *= have[:, None]
        found[f"pca_{kind}"] = scores / max(
            float(np.sqrt((scores[fitted] ** 2).sum(1).mean())), 1e-12
        )
    found[_CONCATENATED] = np.concatenate(list(found.values()), axis=1)
    if design[BATCH].nunique() > 1:
        codes = pd.factorize(design[BATCH], sort=True)[0]
        found["harmony"] = harmony_embedding(found[_CONCATENATED], codes, seed)
    return {name: scores.astype(np.float32) for name, scores in found.items()}


def _components(
    own: sparse.csr_matrix, fitted: np.ndarray, components: int, seed: int
) -> np.ndarray:
    count = min(components, min(int(fitted.sum()), own.shape[1]) - 1)
    _, loadings, _, _ = sc.pp.pca(own[fitted], n_comps=count, random_state=seed, return_info=True)
    mean = np.asarray(own[fitted].mean(axis=0)).ravel()
    return np.asarray(own @ loadings.T) - mean @ loadings.T


def told_by_ridge(
    values: dict[str, sparse.csr_matrix], design: pd.DataFrame, params: BaselineParams, seed: int
) -> dict[str, np.ndarray]:
    """Tell every feature of a modality from the values of the others, by ridge, a penalty a feature.

    Modalities of more than `most_features` are left out. A cell that lacks one of the others counts as
    one with zeros there.
    """
    return {
        kind: _ridge(values, kind, design, params, seed)
        for kind, own in values.items()
        if own.shape[1] <= params.most_features
    }


def _ridge(
    values: dict[str, sparse.csr_matrix],
    kind: str,
    design: pd.DataFrame,
    params: BaselineParams,
    seed: int,
) -> np.ndarray:
    source = sparse.hstack([v for other, v in values.items() if other != kind]).tocsr()
    fitted = design[has(kind)].to_numpy(bool) & ~scored_cells(design)
    rows = np.flatnonzero(fitted)
    if len(rows) > params.most_cells:
        rows = np.sort(np.random.default_rng(seed).choice(rows, params.most_cells, replace=False))
    ridge = RidgeCV(np.asarray(params.regularisation), alpha_per_target=True)
    back: Callable[[sparse.csr_matrix], np.ndarray] = lambda part: part.toarray()  # noqa: E731
    if source.shape[1] > len(rows):  # as many numbers as cells tell the same: see `_compact`
        back = _compact(source[rows])
    ridge.fit(back(source[rows]), values[kind][rows].toarray())
    return ridge.predict(back(source)).astype(np.float32)


def _compact(some: sparse.csr_matrix) -> Callable[[sparse.csr_matrix], np.ndarray]:
    """Return what turns values into their coordinates in the space of the cells given.

    A penalty on squares sees the features by inner products alone: nothing outside of that space has a
    part in what is told.
    """
    values_N, vectors_NN = np.linalg.eigh((some @ some.T).toarray())
    kept = values_N > values_N.max() * 1e-10
    basis_SR = np.asarray(some.T @ (vectors_NN[:, kept] / np.sqrt(values_N[kept])))
    return lambda part: np.asarray(part @ basis_SR)
