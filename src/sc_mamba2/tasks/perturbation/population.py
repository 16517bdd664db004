"""From changes to cells: the affine decoder, predicted cells, and how far apart resamples lie.

Legend: N cells, G genes, Q measured effects.
"""

from dataclasses import replace

import numpy as np
from scipy import sparse

from sc_mamba2.cells import parts_of
from sc_mamba2.tasks.perturbation.effect_prior import Start
from sc_mamba2.tasks.perturbation.effects import Effects
from sc_mamba2.tasks.perturbation.features import base_name
from sc_mamba2.tasks.perturbation.params import HeadParams
from sc_mamba2.tasks.perturbation.split import CONTEXT, PERTURBATION

CELLS_AT_ONCE = 512


def affine(
    change: np.ndarray, control_G: np.ndarray, rising_share: float, most_scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and shift of every gene, so that ``scale x + shift`` moves the mean by the change.

    A gene that falls is scaled down, ``a = max(0, 1 + change / mean)``: cells without it stay without
    it, and no value is negative. A gene that rises is scaled up by a share of the change, at most to
    `most_scale` times its values, and shifted by the rest.

    Parameters
    ----------
    change
        (G,) or (N, G).
    control_G
        Mean of the cells that are changed, not negative.
    rising_share
        Share of a rise that is scaling, 0 to 1.
    most_scale
        1 or more.

    Returns
    -------
    scale, shift
        In the shape of `change`; the mean moves by the change, or to 0 where that is above.
    """
    expressed = np.broadcast_to(control_G > 0, change.shape)
    ratio = np.divide(change, control_G, out=np.zeros_like(change), where=expressed)
    rising = change > 0
    raised = 1 + np.minimum(rising_share * ratio, most_scale - 1)
    scale = np.where(rising, raised, np.maximum(0, 1 + ratio))
    shift = np.where(rising, np.maximum(change - (scale - 1) * control_G, 0), 0)
    return scale, shift


def fit_rising_share(effects: Effects, head: HeadParams) -> float:
    """Choose the share of a rise that is scaling by the spread of the training cells.

    Of `rising_shares` the one whose ``scale`` times the control cells' standard deviation is nearest to that
    of the perturbed cells, by squared error over rising genes, effects weighed by reliability.
    """
    losses = []
    for share in head.rising_shares:
        loss = 0.0
        for place, context in enumerate(effects.rows[CONTEXT]):
            change_G = effects.delta_QG[place]
            control_G = effects.control_of(context)
            spread_G = effects.control_spread_of(context)
            scale_G, _ = affine(change_G, control_G, share, head.most_scale)
            error_G = (scale_G * spread_G - effects.spread_QG[place]) ** 2
            loss += effects.reliability_Q[place] * float(error_G[change_G > 0].sum())
        losses.append(loss)
    return head.rising_shares[int(np.argmin(losses))]


def mean_change(
    values: sparse.csr_matrix, change_NG: np.ndarray, rising_share: float, most_scale: float
) -> np.ndarray:
    """Return how far the mean of predicted cells is from that of the cells themselves, (G,).

    Parameters
    ----------
    values
        (N, G) control cells.
    change_NG
        (N, G), or (1, G) for all of them.
    rising_share, most_scale
        See `affine`.
    """
    control_G = np.asarray(values.mean(axis=0), dtype=np.float64).ravel()
    if len(change_NG) == 1:
        return np.maximum(change_NG[0], -control_G)
    dense_NG = values.toarray().astype(np.float64)
    scale_NG, shift_NG = affine(change_NG, control_G, rising_share, most_scale)
    return np.asarray((scale_NG * dense_NG + shift_NG).mean(axis=0) - control_G)


def predicted_cells(
    values: sparse.csr_matrix,
    change_NG: np.ndarray,
    control_G: np.ndarray,
    rising_share: float,
    most_scale: float,
) -> sparse.csr_matrix:
    """Return the predicted cells, (N, G) float32, none negative; see `affine`."""
    blocks = []
    for first in range(0, values.shape[0], CELLS_AT_ONCE):
        rows = slice(first, first + CELLS_AT_ONCE)
        change = change_NG if len(change_NG) == 1 else change_NG[rows]
        scale, shift = affine(change, control_G, rising_share, most_scale)
        changed_NG = scale * values[rows].toarray() + shift
        blocks.append(sparse.csr_matrix(np.maximum(changed_NG, 0).astype(np.float32)))
    return sparse.vstack(blocks, format="csr")


def ensemble_estimates(
    start: Start, name: str, context: str, control_G: np.ndarray, count: int, seed: int
) -> np.ndarray:
    """Estimate an effect from resampled measurements, (count, G).

    In each resample every measured effect is moved by its own standard error, and of the perturbations
    those are left that a draw with replacement takes, about two thirds, each once; the one that is asked
    for, and its parts, stay, at any dose.

    Parameters
    ----------
    start
        The estimate.
    name, context, control_G
        See `Start.estimate`.
    count
        Resamples.
    seed
        Of the draws.
    """
    generator = np.random.default_rng(seed)
    effects = start.effects
    names = effects.rows[PERTURBATION].to_numpy()
    bases = {base_name(name), *(base_name(part) for part in parts_of(name))}
    kept = {other for other in set(names) if base_name(other) in bases}
    others = sorted(set(names) - kept)
    found = []
    for _ in range(count):
        noise_QG = generator.standard_normal(effects.delta_QG.shape) * np.sqrt(effects.error_QG)
        moved = replace(effects, delta_QG=effects.delta_QG + noise_QG)
        drawn = set(generator.choice(others, len(others))) if others else set()
        hidden_Q = ~np.isin(names, list(drawn | kept))
        again = replace(start, effects=moved)
        found.append(again.estimate(name, context, control_G, hidden_Q))
    return np.stack(found)
