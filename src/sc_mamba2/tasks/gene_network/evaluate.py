"""How well every score finds the known edges, on the same pairs."""

from typing import Any

import numpy as np
import pandas as pd

from sc_mamba2.metrics.retrieval import edge_scores
from sc_mamba2.model import PretrainedModel
from sc_mamba2.tasks.gene_network.params import Method, ScoreParams
from sc_mamba2.tasks.gene_network.reference import known_pairs
from sc_mamba2.tasks.gene_network.scores import SIMPLE, PairScores
from sc_mamba2.tasks.gene_network.summary import summarize


def score(
    scores: PairScores,
    model: PretrainedModel,
    known_edges: pd.DataFrame,
    scoring: ScoreParams,
    validation_report: dict[str, Any],
    run_info: dict[str, Any],
) -> dict[str, Any]:
    """Evaluate all scores against the known edges; return the contents of ``metrics.json``."""
    results, facts = score_all(scores, known_edges, scoring.method)
    data = {
        "cells": scores.cells,
        "regulators": len(scores.choice.regulators),
        "regulators_from": scores.choice.origin,
        "targets": len(scores.choice.targets),
        **facts,
        "reference": validation_report,
    }
    if scores.knock_outs is not None:
        data["regulators_without_a_cell"] = int((scores.knock_outs.cells_R == 0).sum())
    run = run_info | {"checkpoint_sha256": model.checkpoint_sha256}
    metrics = results | {"data": data, "run": run}
    return metrics | {"summary": summarize(metrics)}


def score_all(
    scores: PairScores, known_edges: pd.DataFrame, method: Method
) -> tuple[dict[str, dict[str, Any]], dict[str, int]]:
    """Return the metrics of ``model``, ``baselines`` and ``ablations``, and the numbers behind them.

    There are no metrics if no pair, or every pair, is a known edge.
    """
    evaluated_RT, truth_RT = evaluated_pairs(scores, known_edges)
    truth = truth_RT[evaluated_RT]
    facts = {
        "judged_pairs": len(truth),
        "judged_regulators": int(evaluated_RT.any(axis=1).sum()),
        "known_edges": int(truth.sum()),
    }
    if not 0 < truth.sum() < len(truth):
        return {"model": {}, "baselines": {}, "ablations": {}}, facts

    def by_name(named: dict[str, np.ndarray]) -> dict[str, Any]:
        return {name: edge_scores(values[evaluated_RT], truth) for name, values in named.items()}

    own = by_name(scores.by_method)
    model = own.pop(method)
    baselines = {name: own.pop(name) for name in SIMPLE if name in own}
    parts = {f"{name} alone": own[name] for name in own}
    return {
        "model": model,
        "baselines": baselines | by_name(scores.baselines),
        "ablations": parts | by_name(scores.ablations),
    }, facts


def evaluated_pairs(scores: PairScores, known_edges: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return which pairs are evaluated, and which of all are known edges, (R, T) bool each.

    A pair of different genes is evaluated if its regulator has a known edge to any target.
    """
    choice = scores.choice
    truth_RT = known_pairs(known_edges, choice.regulators, choice.targets)
    return choice.pairs() & truth_RT.any(axis=1, keepdims=True), truth_RT
