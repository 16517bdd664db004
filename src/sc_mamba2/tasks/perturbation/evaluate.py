"""Score predicted effects on the held-out cells; each held-out perturbation (or context) is a unit.

Legend: T effects of the held-out cells, U units, G genes.
"""

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse, stats

from sc_mamba2.cells import parts_of
from sc_mamba2.errors import UserError, nearest
from sc_mamba2.metrics import perturbation as measures
from sc_mamba2.reporting import Scores
from sc_mamba2.tasks.perturbation.effect_prior import EffectPrior
from sc_mamba2.tasks.perturbation.effects import CELLS, Effects, measure_effects, sides_of
from sc_mamba2.tasks.perturbation.features import own_columns
from sc_mamba2.tasks.perturbation.model import PerturbationModel
from sc_mamba2.tasks.perturbation.params import (
    KeyParams,
    ScoreParams,
    SplitKind,
    SplitParams,
    Variant,
)
from sc_mamba2.tasks.perturbation.prior_names import names_of
from sc_mamba2.tasks.perturbation.split import CONTEXT, PERTURBATION, join_names
from sc_mamba2.tasks.perturbation.summary import summarize
from sc_mamba2.training import ComputeOptions

UNIT, CEILING = "unit", "ceiling"
WITH_EFFECT = ": with an effect"


@dataclass(frozen=True, eq=False)
class Truth:
    """Measured effects of the held-out cells.

    Attributes
    ----------
    units
        U rows by name: ``cells`` and ``ceiling``.
    weight_UT
        Weight of each measured effect in a unit; rows sum to 1.
    delta_UG, statistic_UG
        Effects of the units, and Welch's t of every gene.
    genes_G
        Scored genes, bool.
    distinctive_G
        Scored genes other than the perturbed ones, for discrimination between units, bool.
    """

    units: pd.DataFrame
    weight_UT: np.ndarray
    delta_UG: np.ndarray
    statistic_UG: np.ndarray
    genes_G: np.ndarray
    distinctive_G: np.ndarray


def score(
    predicted: dict[str, np.ndarray],
    test_cells: AnnData,
    effect_prior: EffectPrior,
    gate: dict[str, Any],
    remarks: list[dict[str, Any]],
    trust: dict[str, Any],
    model: PerturbationModel,
    validation_report: dict[str, Any],
    run_info: dict[str, Any],
    keys: KeyParams,
    split: SplitParams,
    params: ScoreParams,
    compute: ComputeOptions,
) -> tuple[dict[str, Any], Truth, pd.DataFrame]:
    """Score the model, its baselines and its ablations.

    Returns
    -------
    metrics
        The contents of ``metrics.json``.
    truth
        Measured effects of the held-out cells.
    held_out_effects
        See `held_out_effects`.
    """
    perturbed, controls = sides_of(test_cells, keys.control)
    effects = measure_effects(perturbed, controls)
    names, whole = effects.rows[PERTURBATION], effects.whole
    parts = {part for name in names for part in parts_of(name, whole)}
    own = list(own_columns(parts, effects.genes, keys).values())
    truth = read_truth(effects, perturbed, controls, own, split.kind, params, compute.seed)
    if split.kind != "unseen_context":
        known = names_of(effect_prior, keys, truth.units.index)
        named = {"names": tuple(map(known.resolve, params.names))}
        params = params.model_copy(update=named)
    units = scored_units(truth, params)
    tables = {name: score_units(effect_TG, truth, params) for name, effect_TG in predicted.items()}
    means = {name: mean_scores(table, units) for name, table in tables.items()}
    scores = means.pop("model")
    clear = truth.units.index[truth.units[CEILING] >= params.least_ceiling]
    with_effect = [unit for unit in units if unit in clear]
    above = {name: mean_scores(table, with_effect) for name, table in tables.items()}
    rows = effect_prior.effects.rows
    data = {
        "split": split.kind,
        "scored": units,
        "least_ceiling": params.least_ceiling,
        "with_effect": with_effect,
        "mean_ceiling": float(truth.units.loc[units, CEILING].mean()),
        "margins": margins(tables, units),
        "units": describe_units(truth, tables),
        "correlation_between": diversity(predicted["model"], truth),
        "training_effects": len(rows),
        "training_perturbations": int(rows[PERTURBATION].nunique()),
        "contexts": len(effect_prior.effects.contexts),
        "shares": effect_prior.shares,
        "context_shares": effect_prior.context_shares,
        "partners": {str(name): effect_prior.partners(name) for name in dict.fromkeys(names)},
        "layers": gate,
        "remarks": remarks,
        "reference": validation_report,
        "predicted": trust,
    }
    metrics = {
        "model": scores,
        "views": {f"{name}{WITH_EFFECT}": mean for name, mean in above.items() if mean},
        "baselines": {name: mean for name, mean in means.items() if name not in get_args(Variant)},
        "ablations": {name: mean for name, mean in means.items() if name in get_args(Variant)},
        "data": data,
        "run": run_info | {"checkpoint_sha256": model.sha256()},
    }
    metrics["summary"] = summarize(metrics)
    return metrics, truth, held_out_effects(truth, predicted, effects.genes)


def describe_prediction(
    trust: dict[str, Any],
    model: PerturbationModel,
    validation_report: dict[str, Any],
    run_info: dict[str, Any],
) -> dict[str, Any]:
    """Return the contents of ``metrics.json`` when no cells were held out."""
    metrics = {
        "model": {},
        "baselines": {},
        "ablations": {},
        "data": {"remarks": [], "reference": validation_report, "units": [], "predicted": trust},
        "run": run_info | {"checkpoint_sha256": model.sha256()},
    }
    return metrics | {"summary": summarize(metrics)}


def read_truth(
    effects: Effects,
    perturbed: AnnData,
    controls: AnnData,
    own: list[int],
    kind: SplitKind,
    params: ScoreParams,
    seed: int,
) -> Truth:
    """Measure the effects to be predicted.

    Parameters
    ----------
    effects
        Effects of the held-out cells, against control cells that no prediction starts from.
    perturbed, controls
        These cells.
    own
        Columns of the perturbed genes.
    kind
        Kind of split. If contexts are held out, a unit is a perturbation in a context, else a
        perturbation over its contexts.
    params
        Which genes count; repeats of the ceiling.
    seed
        Seed of the ceiling's random halves.
    """
    names = unit_names(effects.rows, kind)
    listed = sorted(set(names))
    cells_T = effects.rows[CELLS].to_numpy(dtype=float)
    weight_UT = np.stack([(names == name) * cells_T for name in listed])
    weight_UT /= weight_UT.sum(axis=1, keepdims=True)
    delta_UG = weight_UT @ effects.delta_QG
    statistic_UG = np.stack(
        [
            measures.de_statistic(delta_G, error_G)
            for delta_G, error_G in zip(delta_UG, weight_UT**2 @ effects.error_QG, strict=True)
        ]
    )
    expressed = [matrix.X.getnnz(axis=0) for matrix in (perturbed, controls)]
    genes_G = np.sum(expressed, axis=0) >= params.fewest_cells
    pairs = _pairs(effects.rows, perturbed[:, genes_G], controls[:, genes_G])
    ceilings = [
        measures.split_half_ceiling(
            [pairs[place] for place in np.flatnonzero(names == name)], seed, params.ceiling_repeats
        )
        for name in listed
    ]
    cells = [int(cells_T[names == name].sum()) for name in listed]
    units = pd.DataFrame({CELLS: cells, CEILING: ceilings}, index=pd.Index(listed, name=UNIT))
    distinctive_G = genes_G & ~np.isin(np.arange(len(genes_G)), own)
    return Truth(units, weight_UT, delta_UG, statistic_UG, genes_G, distinctive_G)


def unit_names(rows: pd.DataFrame, kind: SplitKind) -> np.ndarray:
    """Return the name of every effect's unit, (T,)."""
    if kind != "unseen_context":
        return rows[PERTURBATION].to_numpy(dtype=str)
    if rows[PERTURBATION].nunique() == 1:
        return rows[CONTEXT].to_numpy(dtype=str)
    return (rows[PERTURBATION] + " in " + rows[CONTEXT]).to_numpy(dtype=str)


def check_names(held_out: pd.DataFrame, kind: SplitKind, params: ScoreParams) -> None:
    """Raise before training if none of the names to score is held out.

    Raises
    ------
    UserError
        Rule ``scored-names``.
    """
    units = sorted(set(unit_names(held_out, kind)))
    if params.names and not set(params.names) & set(units):
        raise UserError(
            "scored-names",
            found=f"'{params.names[0]}' is to be scored but is not held out",
            expected=f"one of: {join_names(units)}",
            mend="correct perturbation.evaluation.names, or hold them out "
            "(perturbation.split.held_out)" + nearest(params.names[0], units),
        )


def score_units(predicted_TG: np.ndarray, truth: Truth, params: ScoreParams) -> pd.DataFrame:
    """Score a method on every unit.

    Returns
    -------
    DataFrame
        U rows. ``pearson_delta``, ``mse``, ``mae`` over scored genes; ``pearson_delta_top``, ``mse_top``
        and ``direction_match`` over the `de_genes` genes with the largest measured t; from two units
        ``discrimination`` (L1) and ``discrimination_cosine``, without the perturbed genes (as in cell-eval).
    """
    predicted_UG = (truth.weight_UT @ predicted_TG)[:, truth.genes_G]
    real_UG = truth.delta_UG[:, truth.genes_G]
    rows = []
    for predicted_G, real_G, statistic_G in zip(
        predicted_UG, real_UG, truth.statistic_UG[:, truth.genes_G], strict=True
    ):
        top = measures.top_genes(statistic_G, params.de_genes)
        rows.append(
            {
                "pearson_delta": measures.pearson_delta(predicted_G, real_G),
                "pearson_delta_top": measures.pearson_delta(predicted_G[top], real_G[top]),
                "direction_match": measures.direction_match(predicted_G, real_G, top),
                **measures.effect_errors(predicted_G, real_G),
                "mse_top": measures.effect_errors(predicted_G[top], real_G[top])["mse"],
            }
        )
    table = pd.DataFrame(rows, index=truth.units.index)
    if len(table) > 1 and truth.distinctive_G.any():
        effects = (truth.weight_UT @ predicted_TG, truth.delta_UG)
        predicted_UG, real_UG = (effects_UG[:, truth.distinctive_G] for effects_UG in effects)
        columns = {"discrimination": "cityblock", "discrimination_cosine": "cosine"}
        for place, (column, metric) in enumerate(columns.items(), start=2):
            scores_U = measures.discrimination_scores(predicted_UG, real_UG, metric)
            table.insert(place, column, scores_U)
    return table


def scored_units(truth: Truth, params: ScoreParams) -> list[str]:
    """Return the units that the mean score covers."""
    listed = list(truth.units.index)
    return [name for name in listed if name in params.names] if params.names else listed


def margins(tables: dict[str, pd.DataFrame], units: list[str]) -> dict[str, dict[str, float]]:
    """Return by score and method the margin of error of the model's mean difference to that method.

    It is the half-width of the 95 % interval over the units, by Student's t; empty for one unit.
    """
    if len(units) < 2:
        return {}
    own = tables["model"].loc[units]
    wide = stats.t.ppf(0.975, len(units) - 1) / np.sqrt(len(units))
    found: dict[str, dict[str, float]] = {str(score): {} for score in own}
    for name, table in tables.items():
        if name != "model":
            for score, spread in (own - table.loc[units]).std(ddof=1).items():
                found[str(score)][name] = float(wide * spread)
    return found


def mean_scores(table: pd.DataFrame, units: list[str]) -> Scores:
    """Return the mean of every score over some units; empty for no units."""
    return (
        {str(name): float(score) for name, score in table.loc[units].mean().items()}
        if units
        else {}
    )


def diversity(predicted_TG: np.ndarray, truth: Truth) -> dict[str, float]:
    """Return the mean pairwise correlation between units, of predicted and of real effects."""
    if len(truth.units) < 2:
        return {}
    effects = {"predicted": truth.weight_UT @ predicted_TG, "real": truth.delta_UG}
    return {
        name: measures.mean_pairwise_correlation(effects_UG[:, truth.distinctive_G])
        for name, effects_UG in effects.items()
    }


def held_out_effects(
    truth: Truth, predicted: dict[str, np.ndarray], genes: tuple[str, ...]
) -> pd.DataFrame:
    """Return a table of the units' real and predicted effects, one row each.

    Its columns are ``method`` (or ``real``), ``unit``, then one a scored gene.
    """
    kept = np.asarray(genes, dtype=object)[truth.genes_G]
    effects = {"real": truth.delta_UG}
    effects |= {name: truth.weight_UT @ effect_TG for name, effect_TG in predicted.items()}
    tables = []
    for method, effects_UG in effects.items():
        table = pd.DataFrame(effects_UG[:, truth.genes_G], columns=kept)
        table.insert(0, UNIT, truth.units.index.to_numpy())
        table.insert(0, "method", method)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def describe_units(truth: Truth, tables: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """Return one record a unit: cells, noise ceiling, and the scores of every method."""
    scores = {method: table.to_dict("index") for method, table in tables.items()}
    return [
        {
            UNIT: str(name),
            CELLS: int(row[CELLS]),
            CEILING: float(row[CEILING]),
            "scores": {method: of_unit[name] for method, of_unit in scores.items()},
        }
        for name, row in truth.units.iterrows()
    ]


def _pairs(
    rows: pd.DataFrame, perturbed: AnnData, controls: AnnData
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return each effect's cells, dense: perturbed ones, and controls of their context."""
    of_control = controls.obs[CONTEXT].astype(str).to_numpy()
    context = perturbed.obs[CONTEXT].astype(str).to_numpy()
    name = perturbed.obs[PERTURBATION].astype(str).to_numpy()
    base = {which: _dense(controls.X[of_control == which]) for which in set(rows[CONTEXT])}
    if any(len(cells) < 2 for cells in base.values()):
        everywhere = _dense(controls.X)
        base = {which: cells if len(cells) > 1 else everywhere for which, cells in base.items()}
    return [
        (
            _dense(perturbed.X[(name == row.perturbation) & (context == row.context)]),
            base[row.context],
        )
        for row in rows.itertuples(index=False)
    ]


def _dense(matrix: sparse.csr_matrix) -> np.ndarray:
    return matrix.toarray().astype(np.float64)
