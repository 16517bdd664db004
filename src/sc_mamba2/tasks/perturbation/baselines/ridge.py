"""A bilinear map between principal components of the genes (Ahlmann-Eltze 2025).

Legend: G genes, K components, M training perturbations whose genes are measured.
"""

import numpy as np

from sc_mamba2.cells import parts_of
from sc_mamba2.tasks.perturbation.baselines.training_mean import pooled_effects, training_mean
from sc_mamba2.tasks.perturbation.effects import Effects
from sc_mamba2.tasks.perturbation.features import gene_ids
from sc_mamba2.tasks.perturbation.params import ScoreParams


def ridge(effects: Effects, name: str, context: str, params: ScoreParams) -> np.ndarray:
    """Predict an effect from the components of the perturbed gene, (G,).

    ``Y = G W P^T + b`` with Y the training effects (genes x perturbations), b their mean, G the first
    K left singular vectors times singular values of ``Y - b`` and the contexts' control means, and P
    the rows of G at the perturbed genes; ``W = (G^T G + l I)^-1 G^T (Y - b) P (P^T P + l I)^-1``, with l
    in units of the mean squared entry. A combination takes the sum of its genes' rows. A perturbation
    with no measured gene gets b.
    """
    pooled = pooled_effects(effects)
    mean_G = training_mean(effects, name, context, params)
    centred_GM = np.stack([delta_G - mean_G for _, delta_G in pooled], axis=1)
    levels_GC = effects.control_CG.T - effects.control_CG.mean()
    components_GK = _components(np.hstack([centred_GM, levels_GC]), params.components)
    places = {ident: place for place, ident in enumerate(effects.genes)}
    rows = [_row(other, places, components_GK) for other, _ in pooled]
    own_K = _row(name, places, components_GK)
    known = [place for place, row in enumerate(rows) if row is not None]
    if own_K is None or not known:
        return mean_G
    row_MK = np.stack([rows[place] for place in known])
    left = _solve(components_GK, components_GK.T @ centred_GM[:, known], params.ridge)
    weight_KK = _solve(row_MK, (left @ row_MK).T, params.ridge).T
    return mean_G + components_GK @ (weight_KK @ own_K)


def _components(matrix_GX: np.ndarray, count: int) -> np.ndarray:
    left_GK, values_K, _ = np.linalg.svd(matrix_GX, full_matrices=False)
    count = max(1, min(count, int((values_K > 1e-9).sum())))
    return left_GK[:, :count] * values_K[:count]


def _row(name: str, places: dict[str, int], components_GK: np.ndarray) -> np.ndarray | None:
    ids = gene_ids(parts_of(name)).values()
    found = [components_GK[places[ident]] for ident in ids if ident in places]
    return np.sum(found, axis=0) if found else None


def _solve(features_XK: np.ndarray, right_KY: np.ndarray, strength: float) -> np.ndarray:
    gram_KK = features_XK.T @ features_XK
    unit = max(float(np.trace(gram_KK)) / len(gram_KK), 1e-12)
    return np.asarray(np.linalg.solve(gram_KK + strength * unit * np.eye(len(gram_KK)), right_KY))
