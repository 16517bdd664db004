from sc_mamba2.tasks.multiomics.report import joint_report, verdict


def metrics(model: float, ridge: float, held_out: int = 30) -> dict:
    read = {
        "genes": {"total": 9, "matched": 8, "kept": 7},
        "expression": {"origin": "X", "kind": "counts"},
        "remarks": [{"rule": "cells-order", "remark": "<b>another</b> order"}],
        "protein": {"with_gene": 3},
        "atac": {"total": 9, "kept": 4},
    }
    data = {
        "cells": 100,
        "scored_cells": 30,
        "parts": {"training": 60, "held_out": held_out},
        "batches": {"all": 100},
        "modalities": {"rna": 100, "protein": 80},
        "features_used": {"rna": 7, "protein": 3},
        "reference": read,
    }
    return {
        "model": {"avg_bio": model, "pearson_protein": model},
        "baselines": {"concatenated_pca": {"avg_bio": 0.6}, "ridge": {"pearson_protein": ridge}},
        "ablations": {"start_alone": {"avg_bio": 0.65}},
        "data": data,
        "run": {"version": "0", "run_id": "now"},
        "summary": ("came out", "trust", "look"),
    }


def test_the_verdict_names_who_won():
    won, lost = " ".join(verdict(metrics(0.7, 0.5))), " ".join(verdict(metrics(0.4, 0.5)))
    assert (
        "best by types kept (AvgBIO) (0.700" in won and "ridge 0.500" in won and "BELOW" not in won
    )
    assert "BELOW the best baseline by types kept (AvgBIO)" in lost and "ridge 0.500" in lost
    assert "start_alone reaches 0.650 (full model: +0.050)" in won
    assert "scores are too high" in verdict(metrics(0.7, 0.5) | {"baselines": {}})[0]
    assert "Too few cells were held out" in verdict(metrics(0.7, 0.5, held_out=3))[0]


def test_the_report_escapes_and_shows_what_was_read():
    page = joint_report(metrics(0.7, 0.5), {"told_protein": b"png"}, {"compute.seed": 0})
    assert "&lt;b&gt;another" in page and "<b>another" not in page
    assert "protein: predicted from the other modalities" in page and "X_scm_joint" in page
