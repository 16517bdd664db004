"""Metrics of predicted perturbation effects, each with its definition and source.

An effect ("delta") is the mean of the perturbed cells minus the mean of control cells, in
log-normalised expression. P perturbations, G genes, N cells.
"""

import numpy as np
from scipy.spatial.distance import cdist

_SMALL = 1e-12


def pearson_delta(predicted_G: np.ndarray, real_G: np.ndarray) -> float:
    """Return the Pearson correlation of two effects over genes.

    ``corr(predicted, real)`` of the differences from the control mean (GEARS, Roohani 2023; scGPT,
    Cui 2024). 0 if either is the same for every gene, as in a prediction of no change.
    """
    left, right = predicted_G - predicted_G.mean(), real_G - real_G.mean()
    size = float(np.linalg.norm(left) * np.linalg.norm(right))
    scale = max(1.0, float(np.abs(predicted_G).max(initial=0))) * _SMALL
    return float(left @ right) / size if size > scale else 0.0


def de_statistic(delta_G: np.ndarray, error_G: np.ndarray) -> np.ndarray:
    """Return Welch's t of every gene, (G,); 0 without variance.

    ``t = delta / sqrt(error)`` with ``error = var_p / n_p + var_c / n_c``, the squared standard error
    of the difference with unbiased variances, as `scipy.stats.ttest_ind` with ``equal_var=False``.
    """
    size_G = np.sqrt(error_G)
    return np.divide(delta_G, size_G, out=np.zeros_like(delta_G), where=size_G > 0)


def top_genes(statistic_G: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the genes with the largest absolute statistic, at most `count`."""
    return np.argsort(-np.abs(statistic_G), kind="stable")[:count]


def direction_match(predicted_G: np.ndarray, real_G: np.ndarray, genes: np.ndarray) -> float:
    """Return the share of the given genes whose predicted change has the sign of the real one, 0 to 1.

    As ``de_direction_match`` of cell-eval (Adduri 2025); a predicted change of 0 counts as wrong.
    """
    return float((np.sign(predicted_G[genes]) == np.sign(real_G[genes])).mean())


def discrimination_scores(
    predicted_PG: np.ndarray, real_PG: np.ndarray, metric: str = "cityblock"
) -> np.ndarray:
    """Return how highly each perturbation's own real effect ranks by distance to its prediction, (P,), 0 to 1.

    ``1 - rank / (P - 1)`` where the rank, from 0, counts the other real effects closer to the prediction than
    its own; ties count half. 1: its own is the closest; 0.5: chance level, and exactly the mean if all
    predictions are the same (perturbation discrimination score, Wu 2024 "PerturBench", with L1 as in
    cell-eval, which divides by P and breaks ties by order).

    Parameters
    ----------
    predicted_PG, real_PG
        Effects of the same P perturbations, at least 2, in the same order.
    metric
        A distance of scipy's `cdist`, such as ``cityblock`` or ``cosine``. With ``cosine`` a zero effect has
        distance 1 to all others.
    """
    distance_PP = cdist(predicted_PG, real_PG, metric=metric)
    distance_PP = np.round(np.nan_to_num(distance_PP, nan=1.0), 12)
    own_P1 = np.diag(distance_PP)[:, None]
    nearer_P = (distance_PP < own_P1).sum(axis=1) + ((distance_PP == own_P1).sum(axis=1) - 1) / 2
    scores_P: np.ndarray = 1 - nearer_P / (len(own_P1) - 1)
    return scores_P


def split_half_ceiling(
    contexts: list[tuple[np.ndarray, np.ndarray]], seed: int, repeats: int = 10
) -> float:
    """Return the noise ceiling of the Pearson delta: the correlation between halves of the real cells.

    Perturbed and control cells of every context are split in half at random, and the effects of the two
    halves are correlated; mean over `repeats` splits. As it uses half of the cells, a prediction scored
    against all of them may exceed it.

    Parameters
    ----------
    contexts
        Pairs of perturbed cells (N, G) and control cells (M, G), at least 2 of each, one pair per context;
        effects are averaged over contexts, weighted by the number of perturbed cells.
    seed, repeats
        Seed and number of the random splits.
    """
    generator = np.random.default_rng(seed)
    sizes = [len(perturbed) for perturbed, _ in contexts]
    found = []
    for _ in range(repeats):
        halves = [[_half_means(cells, generator) for cells in pair] for pair in contexts]
        effects = [[p[half] - c[half] for p, c in halves] for half in (0, 1)]
        found.append(pearson_delta(*(np.average(e, axis=0, weights=sizes) for e in effects)))
    return float(np.mean(found))


def mean_pairwise_correlation(effects_PG: np.ndarray) -> float:
    """Return the mean correlation between effects of different perturbations, P at least 2.

    If near 1 for predictions but not for real effects, the predictions have collapsed to a single one.
    """
    places = [(i, j) for i in range(len(effects_PG)) for j in range(i)]
    return float(np.mean([pearson_delta(effects_PG[i], effects_PG[j]) for i, j in places]))


def effect_errors(predicted_G: np.ndarray, real_G: np.ndarray) -> dict[str, float]:
    """Return ``mse`` and ``mae`` over genes, in squared and original log-normalised units."""
    error_G = predicted_G - real_G
    return {"mse": float((error_G**2).mean()), "mae": float(np.abs(error_G).mean())}


def _half_means(cells_NG: np.ndarray, generator: np.random.Generator) -> list[np.ndarray]:
    order = generator.permutation(len(cells_NG))
    return [cells_NG[half].mean(axis=0) for half in np.array_split(order, 2)]
