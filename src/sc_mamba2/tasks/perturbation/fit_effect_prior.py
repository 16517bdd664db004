"""Temperatures of the start by leaving out, and what is known of a perturbation that is asked for."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from sc_mamba2.cells import parts_of
from sc_mamba2.errors import UserError, nearest
from sc_mamba2.tasks.perturbation.effect_prior import Start
from sc_mamba2.tasks.perturbation.effects import CELLS, Effects, reliability
from sc_mamba2.tasks.perturbation.features import base_name, own_columns, single_features
from sc_mamba2.tasks.perturbation.params import KeyParams, SplitKind, StartParams
from sc_mamba2.tasks.perturbation.split import CONTEXT, PERTURBATION

_SMALL = 1e-12


def fit_start(
    effects: Effects,
    singles: dict[str, np.ndarray],
    params: StartParams,
    own: dict[str, int] | None = None,
) -> Start:
    """Choose the temperatures by leaving out, from training effects alone.

    Each effect is estimated without itself for T_c, without all of its perturbation for T_p; the
    value with the smallest ``sum_q r_q |estimate_q - delta_q|^2 / |delta_q|^2`` is kept, for T_p over
    perturbations with their contexts together.

    Parameters
    ----------
    effects
        Training effects.
    singles
        Features of single perturbations.
    params
        Candidates, and what else the estimate needs.
    own
        Columns of single perturbations' own genes; ``None``: they are not told apart.
    """
    start = Start(effects, singles, own or {}, params=params)
    several = len(set(effects.rows[CONTEXT])) > 2
    if several:
        start = _best(start, "context_temperature", params.context_temperatures, "unseen_context")
    else:  # of two contexts each has one other: nothing to choose, and all weigh alike
        start = replace(start, context_temperature=max(params.context_temperatures))
    if effects.rows[PERTURBATION].nunique() > 2 and singles:
        candidates = params.perturbation_temperatures
        start = _best(start, "perturbation_temperature", candidates, "unseen_perturbation")
    return start


def known_start(start: Start, keys: KeyParams, name: str) -> Start:
    """Return the start with what is known of one more perturbation, or refuse it.

    Raises
    ------
    UserError
        Rule ``perturbation-unknown``: a part of it was never seen, and nothing describes it.
    """
    parts = parts_of(name)
    seen = sorted(set(start.effects.rows[PERTURBATION]))
    missing = [part for part in parts if part not in start.singles]
    # A row of a person's table, and any gene, describes every dose.
    found = {p: start.singles[base_name(p)] for p in missing if base_name(p) in start.singles}
    missing = [part for part in missing if part not in found]
    if missing and keys.feature_file is None:
        found |= single_features(missing, keys)
    if found:
        start = replace(start, singles={**start.singles, **found})
    if start.own:  # an ablation may have taken the own genes away
        own = own_columns([name], start.effects.genes, keys)
        start = replace(start, own={**start.own, **own})
    bases = {base_name(other) for other in seen}
    strange = [part for part in parts if base_name(part) not in bases and part not in start.singles]
    if name in seen or not strange:
        return start
    lacks = "is no gene that the checkpoint of gene embeddings knows"
    if keys.feature_file is not None or keys.kind == "chemical":
        lacks = "has no row of features"
    raise UserError(
        "perturbation-unknown",
        found=f"'{strange[0]}', which no training cell had, and which {lacks}",
        expected=f"one that was seen ({', '.join(seen[:5])}"
        + (", …" if len(seen) > 5 else "")
        + "), "
        "or one that is described by its gene or by a table",
        mend="give --perturbation-features FILE with a row for it" + nearest(strange[0], seen),
    )


def left_out_estimates(start: Start, kind: SplitKind) -> np.ndarray:
    """Estimate every measured effect as if the split had held it out, (Q, G).

    Parameters
    ----------
    start
        With its effects.
    kind
        ``unseen_context``: without what was measured in its context; ``unseen_perturbation`` and
        ``unseen_combination``: without its perturbation; ``random_cells``: without itself.
    """
    rows = start.effects.rows
    estimates = []
    for place, (name, context) in enumerate(zip(rows[PERTURBATION], rows[CONTEXT], strict=True)):
        hidden = {
            "unseen_context": (rows[CONTEXT] == context).to_numpy(),
            "random_cells": np.arange(len(rows)) == place,
        }.get(kind, (rows[PERTURBATION] == name).to_numpy())
        control_G = start.effects.control_of(context)
        estimates.append(start.estimate(name, context, control_G, hidden))
    return np.stack(estimates)


def _best(start: Start, field: str, candidates: Iterable[float], kind: SplitKind) -> Start:
    tried = [replace(start, **{field: value}) for value in candidates]
    losses = [_left_out_loss(candidate, kind) for candidate in tried]
    return tried[int(np.argmin(losses))]


def _left_out_loss(start: Start, kind: SplitKind) -> float:
    effects = start.effects
    estimate_QG = left_out_estimates(start, kind)
    groups = [[place] for place in range(len(effects.rows))]
    if kind == "unseen_perturbation":  # contexts together: less noise to choose by
        groups = list(effects.rows.groupby(PERTURBATION).indices.values())
    loss = 0.0
    for places in groups:
        weight_Q = effects.rows[CELLS].to_numpy(dtype=float)[places]
        weight_Q = weight_Q / weight_Q.sum()
        delta_G = weight_Q @ effects.delta_QG[places]
        trust = reliability(delta_G[None], (weight_Q**2 @ effects.error_QG[places])[None])[0]
        error_G = weight_Q @ estimate_QG[places] - delta_G
        loss += float(trust * (error_G @ error_G) / max(delta_G @ delta_G, _SMALL))
    return loss
