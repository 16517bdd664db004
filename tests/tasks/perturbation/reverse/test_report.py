"""The words of the report: who wins, what flatters, and a target that nothing explains."""

import pandas as pd

from sc_mamba2.tasks.perturbation.reverse.report import ranking_report, verdict


def metrics(model: float, baseline: float, learnt: bool = False) -> dict:
    ranks = {"model": 1, "pseudobulk_neighbour": 2, "differential_expression": 3}
    data = {
        "source": "control",
        "target": "<b>A</b>",
        "source_cells": 10,
        "target_cells": 12,
        "candidates": 2,
        "method": "cosine",
        "simulated_reciprocal_rank": {"head": 0.9, "cosine": 0.5},
        "calibration": {"queries": 9, "probability": 0.5, "right": 0.25},
        "known": [{"state": "A", "cells": 12, "ranks": ranks, "learnt": learnt}],
        "reference": {
            "genes": {"total": 9, "matched": 8, "kept": 7},
            "expression": {"origin": "X", "kind": "counts"},
            "remarks": [],
        },
    }
    return {
        "model": {"hits@1": model, "mrr": model},
        "baselines": {
            name: {"hits@1": baseline, "mrr": baseline}
            for name in ("pseudobulk_neighbour", "differential_expression", "random")
        },
        "ablations": {"head alone": {"hits@1": 0.1, "mrr": 0.1}},
        "data": data,
        "run": {"version": "0", "run_id": "now"},
        "summary": ("<b>A</b> ranks first.", "Trust.", "Look."),
    }


def ranking(cosine: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "rank": [1, 2],
            "perturbation": ["A", "B"],
            "seen": [True, False],
            "score": [cosine, 0.0],
            "probability": [0.8, 0.2],
            "cosine": [cosine, 0.0],
            "rank_pseudobulk_neighbour": [2, 1],
            "rank_differential_expression": [1, 2],
            "genes": ["STAT1-", None],
        }
    )


def test_the_verdict_names_who_wins_and_what_flatters():
    won, lost = " ".join(verdict(metrics(0.7, 0.5))), " ".join(verdict(metrics(0.4, 0.5)))
    assert (
        "is best by mean reciprocal rank (0.700" in won
        and "ranked first" in won
        and "BELOW" not in won
    )
    assert "is BELOW the best baseline by mean reciprocal rank (0.400" in lost
    assert "OPTIMISTIC" not in won and "OPTIMISTIC" in " ".join(
        verdict(metrics(0.7, 0.5, learnt=True))
    )
    assert "cannot be scored" in verdict(metrics(0.7, 0.5) | {"model": {}})[0]


def test_the_report_shows_the_ranking_and_says_where_it_says_nothing():
    page = ranking_report(metrics(0.7, 0.5), ranking(0.5), {"known": b"png"}, {"compute.seed": 0})
    assert "&lt;b&gt;A" in page and "<b>A</b>" not in page and "STAT1-" in page
    assert "The baseline pseudobulk neighbour ranks B first" in page
    assert "as set by reverse_perturbation.rank.method" in page
    nothing = ranking_report(metrics(0.7, 0.5) | {"model": {}}, ranking(0.1), {}, {})
    assert "hits@1" not in nothing
