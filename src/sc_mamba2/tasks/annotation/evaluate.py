"""Score the model, its baselines and its ablations on the same cells."""

import logging
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from sc_mamba2.cells import keys
from sc_mamba2.cells.cell_ontology import load_cell_ontology
from sc_mamba2.cells.shared_cells import shared_remark
from sc_mamba2.metrics.classification import (
    classification_metrics,
    expected_calibration_error,
    paired_margins,
)
from sc_mamba2.reporting import Scores, scores_by_method, unshared_words
from sc_mamba2.tasks.annotation.annotator import LABEL, Annotator, Calibration
from sc_mamba2.tasks.annotation.params import CallParams, LabelParams
from sc_mamba2.tasks.annotation.parents import parent_scores
from sc_mamba2.tasks.annotation.predict import (
    ENERGY,
    EXPERT_PREFIX,
    LIKENESS,
    SET_BAR,
    WEIGHT_PREFIX,
    WITHOUT,
)
from sc_mamba2.tasks.annotation.rollup import Rollup, broad_truth, known_rollup
from sc_mamba2.tasks.annotation.split import SHARED
from sc_mamba2.tasks.annotation.summary import summarize

_log = logging.getLogger(__name__)


def score(
    calls: pd.DataFrame,
    truth: pd.DataFrame,
    model: Annotator,
    run_info: dict[str, Any],
    label_params: LabelParams,
    calling: CallParams,
    reference_report: dict[str, Any] | None = None,
    query_report: dict[str, Any] | None = None,
    baseline_calls: pd.DataFrame | None = None,
    ablation_calls: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Score the model, its baselines and ablations; return the contents of ``metrics.json``."""
    labels = truth[LABEL]
    rollup = known_rollup(label_params.rollup, model.labels, model.rollup)
    reports = {"reference": reference_report, "query": query_report}
    reports = {role: report for role, report in reports.items() if report is not None}
    met = (query_report or {}).get("coverage", {})
    calibration = Calibration() if met.get("refitted") else model.calibration
    data = describe_data(calls, labels, model.labels, reports)
    if shared := truth.attrs.get(SHARED, 0):
        data |= {SHARED: shared, "remarks": [shared_remark(shared, len(calls), "the reference")]}
    of_parents: Scores = {}
    if keys.TYPE_PARENT in calls:
        terms, names = model.terms, load_cell_ontology().names
        of_parents = parent_scores(calls, labels, model.labels, terms, rollup)
        found = {label: [ident, names[ident]] for label, ident in terms.items()}
        data["terms"] = {label: found.get(label) for label in model.labels}
    if rollup is None and len(labels) and not data["known_share"]:
        # The labels are other names, or no types at all: an accuracy of 0 would mislead.
        data["scored_cells"] = 0
        data["labels_unshared"] = sorted(labels.unique())[:5]
        _log.warning(unshared_words(data["labels_unshared"], "the reference"))
        labels = labels.iloc[:0]
    scores = score_model(calls, labels, model.labels) | of_parents
    data["alarms"] = calibration_alarms(scores, calls.loc[labels.index], calibration, calling)
    data["alarms"] += set_alarms(scores, calling)
    if LIKENESS in calls:
        data["likeness"] = float(calls[LIKENESS].iloc[0])
        data["batch_key"] = getattr(model, "batch_key", None)
        data["start"] = getattr(model, "start", None)
    if baseline_calls is not None and len(labels):
        data["margins"] = margins(calls, baseline_calls, labels)
    metrics = {
        "model": scores,
        "views": score_views(calls, labels, model.labels, rollup),
        "baselines": {} if baseline_calls is None else score_others(baseline_calls, labels),
        "experts": score_experts(calls, labels),
        "ablations": score_others(_variants(calls, ablation_calls), labels),
        "data": data | {"calibration": calibration.model_dump(mode="json")},
        "run": run_info | {"checkpoint_sha256": model.sha256()},
    }
    return metrics | {"summary": summarize(metrics)}


def calibration_alarms(
    scores: Scores, calls: pd.DataFrame, fitted: Calibration, params: CallParams
) -> list[dict[str, str]]:
    """Warn of a high calibration error on the scored cells, else on the validation cells."""
    error = scores.get("expected_calibration_error")
    if error is not None:
        confidence = float(calls[keys.CONFIDENCE].mean())
        way = "overconfident" if confidence > scores["accuracy"] else "underconfident"
        on = f"the {len(calls):,} scored cells"
        why = f": mean confidence {confidence:.2f}, accuracy {scores['accuracy']:.2f}; {way}"
    else:
        error = fitted.error_after if fitted.applied else fitted.error_before
        on, why = f"the {fitted.cells:,} validation cells", ""
    if error is None or error <= params.most_calibration_error:
        return []
    remark = (
        f"CONFIDENCE IS NOT RELIABLE HERE: its calibration error on {on} is {error:.3f}, above "
        f"annotation.calls.most_calibration_error={params.most_calibration_error:g}{why}"
    )
    return [{"rule": "calibration-bad", "remark": remark}]


def set_alarms(scores: Scores, params: CallParams) -> list[dict[str, str]]:
    """Warn if the sets of types contain the true one less often than the requested coverage."""
    coverage = scores.get("set_coverage")
    if coverage is None or coverage >= params.coverage - params.most_calibration_error:
        return []
    remark = (
        f"THE SETS OF TYPES ARE TOO SMALL HERE: they contain the true type of {coverage:.1%} of the cells of "
        f"known types, less than annotation.calls.coverage={params.coverage:.0%}: this query differs from the "
        "reference"
    )
    return [{"rule": "sets-too-small", "remark": remark}]


def score_experts(calls: pd.DataFrame, truth: pd.Series) -> dict[str, Scores]:
    """Return each expert's ``weight``, agreement with the consensus (``like_consensus``), and scores."""
    experts = calls.filter(like=EXPERT_PREFIX).rename(
        columns=lambda name: name.removeprefix(EXPERT_PREFIX)
    )
    scored = score_others(experts, truth)
    return {
        str(name): {
            "weight": float(calls[WEIGHT_PREFIX + str(name)].iloc[0]),
            "like_consensus": float((called == calls[keys.CELL_TYPE]).mean()),
        }
        | scored.get(str(name), {})
        for name, called in experts.items()
    }


def _variants(calls: pd.DataFrame, trained: pd.DataFrame | None) -> pd.DataFrame:
    """Join the calls of trained variants and of a consensus without some experts."""
    own = calls[[name for name in WITHOUT if name in calls]]
    return own if trained is None else trained.join(own)


def margins(
    calls: pd.DataFrame, others: pd.DataFrame, truth: pd.Series
) -> dict[str, dict[str, float]]:
    """Return by score and baseline the margin of error of the difference; see `paired_margins`."""
    own = calls.loc[truth.index, keys.CELL_TYPE].to_numpy()
    found: dict[str, dict[str, float]] = {}
    for name, called in others.loc[truth.index].items():
        other = called.to_numpy()
        for score_name, margin in paired_margins(truth.to_numpy(), own, other).items():
            found.setdefault(score_name, {})[str(name)] = margin
    return found


def score_model(calls: pd.DataFrame, truth: pd.Series, labels: tuple[str, ...]) -> Scores:
    """Score the model's calls.

    Parameters
    ----------
    calls
        From `call_types`.
    truth
        Class names of cells of `calls`; empty if the query has no labels.
    labels
        The model's classes.

    Returns
    -------
    dict
        Classification metrics, expected calibration error, `set_scores`, ``unassigned_share``, and if the
        query has types that the model does not know, `unseen_scores`. Without a truth ``unassigned_share``
        alone.
    """
    scores = {"unassigned_share": float(calls[keys.UNASSIGNED].mean())}
    if truth.empty:
        return scores
    chosen = calls.loc[truth.index]
    names, confidence = chosen[keys.CELL_TYPE].to_numpy(), chosen[keys.CONFIDENCE].to_numpy()
    calibration = expected_calibration_error(names == truth.to_numpy(), confidence)
    return (
        classification_metrics(truth.to_numpy(), names)
        | {"expected_calibration_error": calibration}
        | set_scores(chosen, truth, labels)
        | scores
        | unseen_scores(chosen, ~np.isin(truth.to_numpy(), labels))
    )


def set_scores(calls: pd.DataFrame, truth: pd.Series, labels: tuple[str, ...]) -> Scores:
    """Return ``set_coverage``, the share of sets with the true type, and mean ``set_size``; known types only."""
    known = truth.isin(labels).to_numpy()
    if keys.TYPE_SET not in calls or not known.any():
        return {}
    sets = calls.loc[known, keys.TYPE_SET].str.split(SET_BAR, regex=False)
    held = [name in names for name, names in zip(truth[known], sets, strict=True)]
    return {"set_coverage": float(np.mean(held)), "set_size": float(sets.map(len).mean())}


def unseen_scores(calls: pd.DataFrame, unseen_N: np.ndarray) -> Scores:
    """Score how well cells of types unknown to the model are distinguished from the others.

    Parameters
    ----------
    calls
        N rows from `call_types`.
    unseen_N
        (N,) bool, whether a cell's type is unknown to the model.

    Returns
    -------
    dict
        AUROC (0.5 by chance) of detecting unseen types: ``unseen_auroc`` by one minus the confidence,
        ``unseen_auroc_energy`` and ``unseen_auroc_distance``. Empty if all cells are of one kind.
    """
    if unseen_N.all() or not unseen_N.any():
        return {}
    doubt = {"unseen_auroc": 1 - calls[keys.CONFIDENCE].to_numpy()}
    for name, column in (("energy", ENERGY), ("distance", keys.DISTANCE)):
        if column in calls:
            doubt[f"unseen_auroc_{name}"] = calls[column].to_numpy()
    return {name: float(roc_auc_score(unseen_N, values)) for name, values in doubt.items()}


def score_views(
    calls: pd.DataFrame, truth: pd.Series, labels: tuple[str, ...], rollup: Rollup | None
) -> dict[str, Scores]:
    """Score other views of the same calls.

    Returns
    -------
    dict
        ``assigned``: the cells that are not marked unassigned, see `_score_assigned`; ``rolled_up``: broad
        types, over the cells whose type has one; ``majority_vote``. Views with nothing to score are absent.
    """
    if truth.empty:
        return {}
    chosen = calls.loc[truth.index]
    views = {"assigned": _score_assigned(chosen, truth.to_numpy(), labels)}
    if rollup is not None and keys.BROAD_TYPE in chosen:
        broad = broad_truth(truth, rollup)
        if len(broad):
            called = chosen.loc[broad.index, keys.BROAD_TYPE].to_numpy()
            scored = {"scored_share": len(broad) / len(truth)}
            views["rolled_up"] = classification_metrics(broad.to_numpy(), called) | scored
    if keys.VOTED_TYPE in chosen:
        voted = chosen[keys.VOTED_TYPE].to_numpy()
        views["majority_vote"] = classification_metrics(truth.to_numpy(), voted)
    return views


def _score_assigned(calls: pd.DataFrame, truth_N: np.ndarray, labels: tuple[str, ...]) -> Scores:
    """Score the effect of leaving cells unassigned.

    Classification metrics over the assigned cells; ``assigned_share``; ``open_set_accuracy``,
    the share of cells that are assigned their type, or have an unknown one and are left unassigned; the
    share left unassigned of known types, ``known_unassigned_share``, and of unseen ones, ``unseen_recall``.
    """
    assigned_N = ~calls[keys.UNASSIGNED].to_numpy(dtype=bool)
    known_N = np.isin(truth_N, labels)
    called_N = calls[keys.CELL_TYPE].to_numpy()
    right_N = np.where(known_N, assigned_N & (called_N == truth_N), ~assigned_N)
    scores = {
        "assigned_share": float(assigned_N.mean()),
        "open_set_accuracy": float(right_N.mean()),
    }
    if known_N.any():
        scores["known_unassigned_share"] = float(1 - assigned_N[known_N].mean())
    if not known_N.all():
        scores["unseen_recall"] = float(1 - assigned_N[~known_N].mean())
    if assigned_N.any():
        scores |= classification_metrics(truth_N[assigned_N], called_N[assigned_N])
    return scores


def score_others(calls: pd.DataFrame, truth: pd.Series) -> dict[str, Scores]:
    """Score every column of a table of calls; empty without a truth."""
    if truth.empty:
        return {}
    return {
        name: classification_metrics(truth.to_numpy(), calls.loc[truth.index, name].to_numpy())
        for name in calls.columns
    }


def describe_data(
    calls: pd.DataFrame, truth: pd.Series, labels: tuple[str, ...], reports: dict[str, Any]
) -> dict[str, Any]:
    """Count cells and classes, and the share of scored cells of a known class."""
    known = float(np.isin(truth.to_numpy(), labels).mean()) if len(truth) else None
    assigned = calls.loc[~calls[keys.UNASSIGNED], keys.CELL_TYPE]
    return {
        "query_cells": len(calls),
        "scored_cells": len(truth),
        "classes": len(labels),
        "called": {str(name): int(n) for name, n in assigned.value_counts().items() if n},
        "known_share": known,
        **reports,
    }


def methods_and_views(metrics: dict[str, Any]) -> dict[str, Scores]:
    """Return the scores in ``metrics.json`` by method; the model's views follow the model."""
    model, *others = scores_by_method(metrics).items()
    views = metrics.get("views", {})
    named = {f"model: {name.replace('_', ' ')}": scores for name, scores in views.items()}
    own = "model (consensus)" if metrics.get("experts") else "model (all paths)"
    return {own: model[1]} | named | dict(others)
