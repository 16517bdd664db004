"""Predict unmeasured effects from those of similar perturbations: similarity, weights, stacking.

Several weightings of the measured effects are mixed; the share of each depends on how well it predicts
held-out effects, and on a prior. Legend: P measured effects, K weightings, G genes, S features of a
description.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

_SMALL = 1e-12


def damped_cosines(own_S: np.ndarray, others_PS: np.ndarray, evidence: float = 0.0) -> np.ndarray:
    """Return the similarity of a description to others, (P,).

    ``a . b / sqrt((|a|^2 + e) (|b|^2 + e))``: the cosine, lower if little is known about either; 0 for a
    zero vector.

    Parameters
    ----------
    own_S, others_PS
        Descriptions.
    evidence
        e, at least 0: the squared length at which a cosine of 1 is halved. With gene sets weighted by
        1 / sqrt(size), a gene in a single set of n genes has a squared length of 1 / n.
    """
    length = (own_S @ own_S + evidence) * ((others_PS**2).sum(axis=1) + evidence)
    size_P = np.sqrt(length)
    product_P = others_PS @ own_S
    return np.divide(product_P, size_P, out=np.zeros_like(size_P), where=size_P > 0)


def similarity_weights(logit_KP: np.ndarray) -> np.ndarray:
    """Convert similarity over temperature into weights of the effects, (K, P); rows sum to 1.

    Without any similarity all logits are 0 and all weights equal.
    """
    return np.asarray(softmax(logit_KP, axis=1))


def weighted_effects(
    weight_KP: np.ndarray, effect_PG: np.ndarray, known_PG: np.ndarray
) -> np.ndarray:
    """Return the weighted means of effects, (K, G), over those with the gene measured (`known_PG` 1, else 0)."""
    share_KG = weight_KP @ known_PG
    sum_KG = weight_KP @ (known_PG * effect_PG)
    return np.divide(sum_KG, share_KG, out=np.zeros_like(sum_KG), where=share_KG > 0)


def stacking_shares(
    error_PKG: np.ndarray, weight_P: np.ndarray, prior_K: np.ndarray, strength: float
) -> np.ndarray:
    """Choose the shares of the weightings by their errors on held-out effects.

    The a on the simplex that minimises
    ``sum_p w_p |sum_k a_k e_pk|^2 + strength |a - prior|^2`` (stacking, Breiman 1996, with a prior, since
    few held-out effects make the choice noisy).

    Parameters
    ----------
    error_PKG
        Predicted minus real effect of every held-out effect by every weighting; P may be 0.
    weight_P
        Weight of each error, such as reliability over squared size.
    prior_K
        Prior shares, with sum 1.
    strength
        Strength of the prior, above 0, in units of held-out effects predicted as badly as by no change.
    """
    gram_KK = np.einsum("p,pkg,plg->kl", weight_P, error_PKG, error_PKG)

    def loss(share_K: np.ndarray) -> tuple[float, np.ndarray]:
        apart_K = share_K - prior_K
        value = share_K @ gram_KK @ share_K + strength * apart_K @ apart_K
        return float(value), 2 * (gram_KK @ share_K + strength * apart_K)

    found = minimize(
        loss,
        prior_K,
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * len(prior_K),
        constraints=[{"type": "eq", "fun": lambda a: a.sum() - 1, "jac": np.ones_like}],
    )
    share_K = np.clip(found.x, 0, None)
    return np.asarray(share_K / share_K.sum())


def kernel_ridge_effect(
    kernel_PP: np.ndarray, kernel_P: np.ndarray, effect_PG: np.ndarray, strengths: list[float]
) -> np.ndarray:
    """Predict an effect by kernel ridge regression on similarity, (G,).

    ``b + k^T (K + l I)^-1 (Y - b)``, b the mean effect; l minimises the leave-one-out squared error, with
    residuals those of the fit over ``1 - H_pp``.
    """
    mean_G = effect_PG.mean(axis=0)
    centred_PG = effect_PG - mean_G
    best = (np.inf, np.zeros(len(effect_PG)))
    for strength in strengths:
        inverse_PP = np.linalg.inv(kernel_PP + strength * np.eye(len(kernel_PP)))
        hat_PP = kernel_PP @ inverse_PP
        left_PG = (centred_PG - hat_PP @ centred_PG) / (1 - np.diag(hat_PP))[:, None]
        best = min(best, (float((left_PG**2).sum()), kernel_P @ inverse_PP), key=lambda one: one[0])
    return np.asarray(mean_G + best[1] @ centred_PG)
