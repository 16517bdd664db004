"""Scores of predicted effects on the held-out cells, each held-out perturbation (or context) a unit.

Legend: T effects of the held-out cells, U units, G genes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from sc_mamba2.errors import UserError, nearest
from sc_mamba2.metrics import perturbation as metrics
from sc_mamba2.reporting import Scores
from sc_mamba2.tasks.perturbation.effects import CELLS, Effects
from sc_mamba2.tasks.perturbation.params import ScoreParams, SplitKind
from sc_mamba2.tasks.perturbation.split import CONTEXT, PERTURBATION

UNIT, CEILING = "unit", "ceiling"


@dataclass(frozen=True, eq=False)
class Truth:
    """What the held-out cells say.

    Attributes
    ----------
    units
        U rows by name: ``cells`` and ``ceiling``.
    weight_UT
        How much of a unit each measured effect is; rows sum to 1.
    delta_UG, statistic_UG
        Effects of the units, and Welch's t of every gene.
    genes_G
        Genes that are scored, bool.
    told_apart_G
        Those of them by which units are told apart: without the perturbed genes themselves, bool.
    """

    units: pd.DataFrame
    weight_UT: np.ndarray
    delta_UG: np.ndarray
    statistic_UG: np.ndarray
    genes_G: np.ndarray
    told_apart_G: np.ndarray


def read_truth(
    effects: Effects,
    perturbed: AnnData,
    controls: AnnData,
    own: list[int],
    kind: SplitKind,
    params: ScoreParams,
    seed: int,
) -> Truth:
    """Measure what is to be predicted.

    Parameters
    ----------
    effects
        Of the held-out cells, against the control cells that no prediction starts from.
    perturbed, controls
        These cells.
    own
        Columns of the perturbed genes.
    kind
        A unit is a context with its perturbation where contexts are held out, else a perturbation
        over its contexts.
    params
        Which genes count; repeats of the ceiling.
    seed
        Seed of the halves of the ceiling.
    """
    names = unit_names(effects.rows, kind)
    listed = sorted(set(names))
    cells_T = effects.rows[CELLS].to_numpy(dtype=float)
    weight_UT = np.stack([(names == name) * cells_T for name in listed])
    weight_UT /= weight_UT.sum(axis=1, keepdims=True)
    delta_UG = weight_UT @ effects.delta_QG
    statistic_UG = np.stack(
        [
            metrics.de_statistic(delta_G, error_G)
            for delta_G, error_G in zip(delta_UG, weight_UT**2 @ effects.error_QG, strict=True)
        ]
    )
    expressed = [matrix.X.getnnz(axis=0) for matrix in (perturbed, controls)]
    genes_G = np.sum(expressed, axis=0) >= params.fewest_cells
    pairs = _pairs(effects.rows, perturbed[:, genes_G], controls[:, genes_G])
    ceilings = [
        metrics.split_half_ceiling(
            [pairs[place] for place in np.flatnonzero(names == name)], seed, params.ceiling_repeats
        )
        for name in listed
    ]
    cells = [int(cells_T[names == name].sum()) for name in listed]
    units = pd.DataFrame({CELLS: cells, CEILING: ceilings}, index=pd.Index(listed, name=UNIT))
    told_apart_G = genes_G & ~np.isin(np.arange(len(genes_G)), own)
    return Truth(units, weight_UT, delta_UG, statistic_UG, genes_G, told_apart_G)


def unit_names(rows: pd.DataFrame, kind: SplitKind) -> np.ndarray:
    """Return the unit of every effect, (T,) text."""
    if kind != "unseen_context":
        return rows[PERTURBATION].to_numpy(dtype=str)
    if rows[PERTURBATION].nunique() == 1:
        return rows[CONTEXT].to_numpy(dtype=str)
    return (rows[PERTURBATION] + " in " + rows[CONTEXT]).to_numpy(dtype=str)


def check_names(held_out: pd.DataFrame, kind: SplitKind, params: ScoreParams) -> None:
    """Refuse to score by names of which none is held out, before anything is trained.

    Parameters
    ----------
    held_out
        ``perturbation`` and ``context`` of the cells that are scored on.
    kind, params
        Of the split; the names.

    Raises
    ------
    UserError
        Rule ``scored-names``.
    """
    units = sorted(set(unit_names(held_out, kind)))
    if params.names and not set(params.names) & set(units):
        raise UserError(
            "scored-names",
            found=f"'{params.names[0]}' is to be scored, and is not held out",
            expected=f"one of: {', '.join(units[:10])}" + (", …" if len(units) > 10 else ""),
            mend="correct perturbation.evaluation.names, or hold them out "
            "(perturbation.split.held_out)" + nearest(params.names[0], units),
        )


def score_units(predicted_TG: np.ndarray, truth: Truth, params: ScoreParams) -> pd.DataFrame:
    """Score a method on every unit.

    Returns
    -------
    DataFrame
        U rows. ``pearson_delta``, ``mse``, ``mae`` over scored genes; the same and
        ``direction_match`` over the `de_genes` with the largest t among the real cells, as
        ``…_top``; ``discrimination`` (L1) and ``discrimination_cosine``, without the perturbed genes
        themselves (as cell-eval does), where there are two units.
    """
    predicted_UG = (truth.weight_UT @ predicted_TG)[:, truth.genes_G]
    real_UG = truth.delta_UG[:, truth.genes_G]
    rows = []
    for predicted_G, real_G, statistic_G in zip(
        predicted_UG, real_UG, truth.statistic_UG[:, truth.genes_G], strict=True
    ):
        top = metrics.top_genes(statistic_G, params.de_genes)
        rows.append(
            {
                "pearson_delta": metrics.pearson_delta(predicted_G, real_G),
                "pearson_delta_top": metrics.pearson_delta(predicted_G[top], real_G[top]),
                "direction_match": metrics.direction_match(predicted_G, real_G, top),
                **metrics.effect_errors(predicted_G, real_G),
                "mse_top": metrics.effect_errors(predicted_G[top], real_G[top])["mse"],
            }
        )
    table = pd.DataFrame(rows, index=truth.units.index)
    if len(table) > 1 and truth.told_apart_G.any():
        apart_UG = [
            effects_UG[:, truth.told_apart_G]
            for effects_UG in (truth.weight_UT @ predicted_TG, truth.delta_UG)
        ]
        columns = {"discrimination": "cityblock", "discrimination_cosine": "cosine"}
        for place, (column, metric) in enumerate(columns.items(), start=2):
            scores_U = metrics.discrimination_scores(*apart_UG, metric)
            table.insert(place, column, scores_U)
    return table


def scored_units(truth: Truth, params: ScoreParams) -> list[str]:
    """Name the units that the mean score is of."""
    listed = list(truth.units.index)
    if params.names:
        return [name for name in listed if name in params.names]
    with_effect = truth.units.index[truth.units[CEILING] >= params.least_ceiling]
    return list(with_effect) or listed


def mean_scores(table: pd.DataFrame, units: list[str]) -> Scores:
    """Return the mean of every score over some units."""
    return {name: float(score) for name, score in table.loc[units].mean().items()} if units else {}


def diversity(predicted_TG: np.ndarray, truth: Truth) -> dict[str, float]:
    """Return how alike the units' predicted effects are, and their real ones; see the metric."""
    if len(truth.units) < 2:
        return {}
    effects = {"predicted": truth.weight_UT @ predicted_TG, "real": truth.delta_UG}
    return {
        name: metrics.mean_pairwise_correlation(effects_UG[:, truth.told_apart_G])
        for name, effects_UG in effects.items()
    }


def held_out_effects(
    truth: Truth, told: dict[str, np.ndarray], genes: tuple[str, ...]
) -> pd.DataFrame:
    """Lay out the real effects of the units and those of every method, a row each.

    Returns
    -------
    DataFrame
        ``method`` (``real`` among them), ``unit``, then a column a scored gene.
    """
    kept = np.asarray(genes, dtype=object)[truth.genes_G]
    effects = {"real": truth.delta_UG}
    effects |= {name: truth.weight_UT @ told_TG for name, told_TG in told.items()}
    tables = []
    for method, effects_UG in effects.items():
        table = pd.DataFrame(effects_UG[:, truth.genes_G], columns=kept)
        table.insert(0, UNIT, truth.units.index.to_numpy())
        table.insert(0, "method", method)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def describe_units(truth: Truth, tables: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """Return a record a unit: cells, noise ceiling, and the scores of every method."""
    described = []
    for name, row in truth.units.iterrows():
        scores = {
            method: {score: float(value) for score, value in table.loc[name].items()}
            for method, table in tables.items()
        }
        facts = {UNIT: str(name), CELLS: int(row[CELLS]), CEILING: float(row[CEILING])}
        described.append(facts | {"scores": scores})
    return described


def _pairs(
    rows: pd.DataFrame, perturbed: AnnData, controls: AnnData
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the dense cells behind every effect: perturbed ones, and controls of their context."""
    of_control = controls.obs[CONTEXT].astype(str).to_numpy()
    context = perturbed.obs[CONTEXT].astype(str).to_numpy()
    name = perturbed.obs[PERTURBATION].astype(str).to_numpy()
    base = {
        which: controls.X[of_control == which].toarray().astype(np.float64)
        for which in set(rows[CONTEXT])
    }
    everywhere = controls.X.toarray().astype(np.float64) if _lacking(base) else None
    pairs = []
    for row in rows.itertuples(index=False):
        mine = perturbed.X[(name == row.perturbation) & (context == row.context)]
        own = base[row.context]
        pairs.append((mine.toarray().astype(np.float64), own if len(own) > 1 else everywhere))
    return pairs


def _lacking(base: dict[str, np.ndarray]) -> bool:
    return any(len(cells) < 2 for cells in base.values())
