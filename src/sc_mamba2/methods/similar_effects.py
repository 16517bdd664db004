"""The effect of what was not measured, from effects of what is like it: likeness, weights, stacking.

Several ways to weigh the measured effects are mixed: a weighting earns its share by how well it predicts
measured effects that were left out, beside what it is believed to be worth. Legend: P measured effects, K
weightings, G genes, S numbers of a description.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

_SMALL = 1e-12


def damped_cosines(own_S: np.ndarray, others_PS: np.ndarray, evidence: float = 0.0) -> np.ndarray:
    """Return how alike a description is to others, (P,).

    ``a . b / sqrt((|a|^2 + e) (|b|^2 + e))``: the cosine, less where little is known of either. 0 for a
    description without length.

    Parameters
    ----------
    own_S, others_PS
        Descriptions.
    evidence
        e, not negative: the squared length at which a cosine of 1 counts a half. With gene sets
        weighed by 1 / sqrt(size) a gene that is in one set of n has a squared length of 1 / n.
    """
    length = (own_S @ own_S + evidence) * ((others_PS**2).sum(axis=1) + evidence)
    size_P = np.sqrt(length)
    product_P = others_PS @ own_S
    return np.divide(product_P, size_P, out=np.zeros_like(size_P), where=size_P > 0)


def likeness_weights(logit_KP: np.ndarray) -> np.ndarray:
    """Turn likeness over temperature into weights of the effects, (K, P); rows sum to 1.

    Where nothing is alike all logits are 0 and all weigh alike: the mean.
    """
    return np.asarray(softmax(logit_KP, axis=1))


def weighed_effects(
    weight_KP: np.ndarray, effect_PG: np.ndarray, known_PG: np.ndarray
) -> np.ndarray:
    """Return the weighed means of effects, (K, G), over those whose gene is known (1, not 0)."""
    share_KG = weight_KP @ known_PG
    sum_KG = weight_KP @ (known_PG * effect_PG)
    return np.divide(sum_KG, share_KG, out=np.zeros_like(sum_KG), where=share_KG > 0)


def stacking_shares(
    error_PKG: np.ndarray, weight_P: np.ndarray, prior_K: np.ndarray, strength: float
) -> np.ndarray:
    """Share the prediction among weightings by their errors on effects that were left out.

    The a on the simplex with the least
    ``sum_p w_p |sum_k a_k e_pk|^2 + strength |a - prior|^2`` (stacking, Breiman 1996, towards a prior: of
    few left-out effects the choice is noisy).

    Parameters
    ----------
    error_PKG
        Predicted less real effect of every left-out effect by every weighting; P may be 0.
    weight_P
        What each error counts, such as reliability over squared size.
    prior_K
        Shares without evidence, that sum to 1.
    strength
        Above 0, in left-out effects that are predicted as badly as by no change.
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
    likeness_PP: np.ndarray, likeness_P: np.ndarray, effect_PG: np.ndarray, strengths: list[float]
) -> np.ndarray:
    """Predict an effect by ridge regression on likeness, (G,).

    ``b + k^T (K + l I)^-1 (Y - b)``, b the mean effect; l has the least squared error of leaving each effect
    out, whose residual is that of the fit over ``1 - H_pp``.
    """
    mean_G = effect_PG.mean(axis=0)
    centred_PG = effect_PG - mean_G
    best = (np.inf, np.zeros(len(effect_PG)))
    for strength in strengths:
        inverse_PP = np.linalg.inv(likeness_PP + strength * np.eye(len(likeness_PP)))
        hat_PP = likeness_PP @ inverse_PP
        left_PG = (centred_PG - hat_PP @ centred_PG) / (1 - np.diag(hat_PP))[:, None]
        best = min(
            best, (float((left_PG**2).sum()), likeness_P @ inverse_PP), key=lambda one: one[0]
        )
    return np.asarray(mean_G + best[1] @ centred_PG)
