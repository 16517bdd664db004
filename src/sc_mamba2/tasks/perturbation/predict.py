"""From a model to held-out effects, and to the predicted cells, their table and how far to trust it.

Legend: N cells, T effects to tell, G genes, K width of the code.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse, stats

from sc_mamba2.tasks.perturbation.effects import moments
from sc_mamba2.tasks.perturbation.features import base_name
from sc_mamba2.tasks.perturbation.model import ROW, PerturbationModel
from sc_mamba2.tasks.perturbation.population import (
    ensemble_estimates,
    mean_change,
    predicted_cells,
)
from sc_mamba2.tasks.perturbation.split import CONTEXT, PERTURBATION
from sc_mamba2.tokens import TokenizedCells

MOST_NEAR = 3


def pair_with_controls(
    rows: pd.DataFrame, controls: TokenizedCells, cells: int, seed: int
) -> TokenizedCells:
    """Take for every effect control cells of its context, at most `cells`.

    Parameters
    ----------
    rows
        T rows: ``perturbation``, ``context``.
    controls
        Tokens of control cells, with ``obs["context"]``. Where a context has none, all are drawn from.
    cells
        Control cells an effect.
    seed
        Seed of the draws, which are without replacement.

    Returns
    -------
    TokenizedCells
        With ``perturbation``, ``row`` (place of the effect) and ``cell`` (place of the control cell).
    """
    generator = np.random.default_rng(seed)
    context = controls.obs[CONTEXT].astype(str).to_numpy()
    places, owners = [], []
    for row, wanted in enumerate(rows[CONTEXT]):
        own = np.flatnonzero(context == wanted)
        drawn = generator.permutation(own if len(own) else len(context))[:cells]
        places.append(drawn)
        owners.append(np.full(len(drawn), row))
    place_N, owner_N = np.concatenate(places), np.concatenate(owners)
    taken = controls.take(place_N)
    table = pd.DataFrame({ROW: owner_N, "cell": place_N}, index=taken.obs.index)
    table[PERTURBATION] = rows[PERTURBATION].to_numpy()[owner_N]
    return replace(taken, obs=table)


def predicted_effects(
    model: PerturbationModel,
    rows: pd.DataFrame,
    pairs: pd.DataFrame,
    code_NK: np.ndarray,
    controls: AnnData,
) -> np.ndarray:
    """Return how far predicted cells are from the control cells that they start from, (T, G).

    Parameters
    ----------
    model
        The model.
    rows
        T rows: ``perturbation``, ``context``.
    pairs
        Which control cell stands for which effect, see `pair_with_controls`.
    code_NK
        What the model gave of them.
    controls
        The control cells.
    """
    found = []
    for row, (name, context) in enumerate(zip(rows[PERTURBATION], rows[CONTEXT], strict=True)):
        mine = (pairs[ROW] == row).to_numpy()
        values = controls.X[pairs["cell"].to_numpy()[mine]]
        change_NG = cell_changes(model, name, context, code_NK[mine])
        found.append(mean_change(values, change_NG, *model.decoding))
    return np.stack(found)


def cell_changes(
    model: PerturbationModel,
    name: str,
    context: str,
    code_NK: np.ndarray,
    own_G: np.ndarray | None = None,
) -> np.ndarray:
    """Return the change of every gene in every cell, (N, G); (1, G) where it is one for all.

    `own_G` is the mean of the cells themselves, by which a context that the model does not know is
    compared with those that it knows.
    """
    control_G = model.start.effects.control_of(context, own_G)
    estimate_G = np.zeros(len(control_G))
    if "start" in model.head.paths:
        estimate_G = model.start.estimate(name, context, control_G)
    if not model.gate:
        return estimate_G[None]
    added_NG = model.added_change(code_NK)
    return estimate_G + (1 - model.start.trust(name, context)) * added_NG


@dataclass(frozen=True, eq=False)
class Population:
    """Predicted cells with their table of genes and what speaks for and against them."""

    cells: Any
    table: pd.DataFrame
    trust: dict[str, Any]


def predict_population(
    model: PerturbationModel,
    name: str,
    controls: AnnData,
    code_NK: np.ndarray,
    ensemble: int,
    seed: int,
) -> Population:
    """Predict a population of cells under a perturbation.

    Parameters
    ----------
    model
        The model; it knows the perturbation (`features.known_start`).
    name
        Canonical name.
    controls
        N control cells in the standard form over the model's genes, with ``obs["context"]``.
    code_NK
        What the model gave of them.
    ensemble
        Resamples of the training effects.
    seed
        Of the resamples.
    """
    contexts = controls.obs[CONTEXT].astype(str).to_numpy()
    spread_G = np.zeros(controls.n_vars)
    blocks, places = [], []
    for context in sorted(set(contexts)):
        mine = np.flatnonzero(contexts == context)
        values = controls.X[mine]
        own_G, _ = moments(values)
        change_NG = cell_changes(model, name, context, code_NK[mine], own_G)
        # By the mean of its own cells: of all contexts' a gene would fall too far here, too little there.
        blocks.append(predicted_cells(values, change_NG, own_G, *model.decoding))
        places.append(mine)
        control_G = model.start.effects.control_of(context, own_G)
        drawn = ensemble_estimates(model.start, name, context, control_G, ensemble, seed)
        spread_G += len(mine) / len(contexts) * drawn.std(axis=0, ddof=1)
    cells = sparse.vstack(blocks, format="csr")[np.argsort(np.concatenate(places))]
    control_G, variance_G = moments(controls.X)
    mean_G, predicted_variance_G = moments(cells)
    table = pd.DataFrame(
        {
            "gene": controls.var["symbol"].to_numpy(),
            "control_mean": control_G,
            "predicted_mean": mean_G,
            "change": mean_G - control_G,
            "control_spread": np.sqrt(variance_G),
            "predicted_spread": np.sqrt(predicted_variance_G),
            "ensemble_spread": spread_G,
        },
        index=controls.var_names,
    )
    return Population(cells, _with_direction(table), _trust(model, name, set(contexts), table))


def _with_direction(table: pd.DataFrame) -> pd.DataFrame:
    """Add z (change over ensemble spread), its two-sided p, q by Benjamini-Hochberg, the direction."""
    spread = table["ensemble_spread"].to_numpy()
    z = np.divide(table["change"], spread, out=np.zeros(len(table)), where=spread > 0)
    table["z"] = z
    table["p"] = 2 * stats.norm.sf(np.abs(z))
    table["q"] = stats.false_discovery_control(table["p"])
    table["direction"] = np.where(z == 0, "none", np.where(z > 0, "up", "down"))
    order = np.argsort(-np.abs(z), kind="stable")
    return table.iloc[order]


def _trust(
    model: PerturbationModel, name: str, contexts: set[str], table: pd.DataFrame
) -> dict[str, Any]:
    rows = model.start.effects.rows
    own = rows[rows[PERTURBATION] == name]
    likeness = sorted(model.start.likeness(name).items(), key=lambda item: -item[1])
    near = {other: round(cosine, 3) for other, cosine in likeness if other != name}
    size = float(np.linalg.norm(table["change"]))
    seen = "in these contexts" if contexts <= set(own[CONTEXT]) else "in other contexts"
    if own.empty:
        same = {base_name(other) == base_name(name) for other in rows[PERTURBATION]}
        seen = "at other doses" if True in same else "never"
    return {
        "perturbation": name,
        "seen": seen,
        "measured_weight": round(
            float(np.mean([model.start.trust(name, context) for context in contexts])), 3
        ),
        "nearest_seen": dict(list(near.items())[:MOST_NEAR]),
        "ensemble_spread_over_change": round(
            float(np.linalg.norm(table["ensemble_spread"])) / max(size, 1e-12), 3
        ),
        "genes_changed": int((table["q"] < 0.05).sum()),
    }
