"""The largest figures that each task draws: many classes with long names, many cells, many genes."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sc_mamba2.cells import keys
from sc_mamba2.methods.gene_modules import find_modules
from sc_mamba2.reporting import class_figure
from sc_mamba2.tasks.annotation import figures as annotation
from sc_mamba2.tasks.batch_correction import figures as batch_correction
from sc_mamba2.tasks.denoising import figures as denoising
from sc_mamba2.tasks.embedding import figures as embedding
from sc_mamba2.tasks.gene_network import figures as gene_network
from sc_mamba2.tasks.gene_network.genes import Choice
from sc_mamba2.tasks.gene_network.scores import edge_table
from sc_mamba2.tasks.multiomics import figures as multiomics
from sc_mamba2.tasks.perturbation import figures as perturbation
from sc_mamba2.tasks.perturbation.reverse import figures as reverse_perturbation

CELLS, CLASSES, GENES, UNITS, METHODS = 3000, 60, 5000, 30, 9
RANDOM = np.random.default_rng(0)
NAMES = pd.Index([f"cell {at}" for at in range(CELLS)])
TYPES = [f"$type_{at}$ <script> of cells with quite a long name" for at in range(CLASSES)]
LABELS = pd.Series(RANDOM.choice(TYPES, CELLS), index=NAMES)
PLACES = pd.DataFrame(RANDOM.normal(size=(CELLS, 2)), index=NAMES, columns=["x", "y"])
HISTORY = pd.DataFrame(
    {"epoch": range(200), "training_loss": np.geomspace(2, 0.1, 200), "validation_loss": 1.0}
)


def draw_annotation() -> dict[str, Figure]:
    calls = pd.DataFrame(
        {keys.CELL_TYPE: RANDOM.permutation(LABELS), keys.CONFIDENCE: RANDOM.random(CELLS)}, NAMES
    )
    return {
        "umap": annotation.umap_figure(PLACES, calls, LABELS),
        "confusion": annotation.confusion_figure(calls, LABELS),
        "calibration": annotation.calibration_figure(calls, LABELS),
        "training": annotation.training_figure(HISTORY),
    }


def draw_batch_correction() -> dict[str, Figure]:
    places = {"before: principal components": PLACES, "after: corrected embedding": PLACES}
    return {
        "by_type": class_figure(places, LABELS),
        "training": batch_correction.training_figure(HISTORY),
    }


def draw_embedding() -> dict[str, Figure]:
    classes = dict.fromkeys(("label", "batch"), embedding._text(LABELS))
    shades = {"genes read of the cell": pd.Series(RANDOM.random(CELLS), NAMES)}
    return {
        "umap": embedding.umap_figure(PLACES, classes, shades),
        "neighbours": embedding.neighbours_figure(PLACES.to_numpy(), classes, 15),
    }


def draw_denoising() -> dict[str, Figure]:
    one = {"nats": 6.0, "gain": 0.3, "gain_error": 0.01}
    names = [f"baseline {at}, posterior" for at in range(METHODS)]
    metrics = {"model": one, "baselines": dict.fromkeys(names, one), "ablations": {}}
    expected = np.logspace(-5, 3, 20)
    told = {"expected": expected, "found": 1.1 * expected, "values": np.full(20, 1e4)}
    return {
        "nats": denoising.nats_figure(metrics),
        "calibration": denoising.calibration_figure(pd.DataFrame(told)),
    }


def draw_gene_network() -> dict[str, Figure]:
    regulators, targets = 30, 50
    symbols = [np.array([f"LONGGENE{at}" for at in range(n)]) for n in (regulators, targets)]
    ids = [np.array([f"{kind}{at}" for at in range(n)]) for kind, n in (("R", 30), ("T", 50))]
    values = RANDOM.normal(size=(regulators, targets))
    scores = SimpleNamespace(
        choice=Choice(*ids, *symbols, "here"),
        knock_outs=SimpleNamespace(specific_RT=values, effect_RT=values),
        by_method=dict.fromkeys(
            ("consensus", "correlation", "pearson", "boosting", "cosine"), values
        ),
        agreement_RT=np.ones(values.shape, int),
    )
    edges = edge_table(scores, "consensus", 300)
    return {
        "heat_map": gene_network.heat_map_figure(scores, "consensus"),
        "network": gene_network.graph_figure(edges, find_modules(edges, 1.0, 0), 0),
    }


def draw_multiomics() -> dict[str, Figure]:
    imputed, actual = RANDOM.normal(size=(2, CELLS, 8))
    layouts = {"RNA alone": PLACES, "principal components, all": PLACES, "joint": PLACES}
    return {
        "by_type": class_figure(layouts, LABELS),
        "told_protein": multiomics.imputed_figure(imputed, actual, TYPES[:8], "protein"),
        "ridge_protein": multiomics.against_ridge_figure(imputed[0], actual[0], "protein"),
        "training": multiomics.training_figure(HISTORY),
    }


def draw_perturbation() -> dict[str, Figure]:
    p = RANDOM.random(GENES) ** 20
    genes = pd.DataFrame({"gene": [f"GENE{at}" for at in range(GENES)], "p": np.sort(p)})
    genes["q"], genes["change"] = genes["p"], RANDOM.normal(size=GENES)
    genes["direction"] = np.where(genes["change"] > 0, "up", "down")
    methods = ["model", *(f"baseline_{at}" for at in range(METHODS - 1))]
    units = [
        {"unit": name, "cells": 900, "ceiling": RANDOM.random()}
        | {"scores": {method: {"pearson_delta": RANDOM.random()} for method in methods}}
        for name in TYPES[:UNITS]
    ]
    truth = SimpleNamespace(
        units=pd.DataFrame(units).set_index("unit"),
        weight_UT=np.eye(UNITS),
        delta_UG=RANDOM.normal(size=(UNITS, 100)),
        genes_G=np.ones(100, dtype=bool),
    )
    told = RANDOM.normal(size=(UNITS, 100))
    return {
        "volcano": perturbation.volcano_figure(genes, TYPES[0]),
        "held_out": perturbation.unit_figure(units, methods),
        "effects": perturbation.effects_figure(truth, told, TYPES[:4]),
        "training": perturbation.training_figure(HISTORY),
    }


def draw_reverse_perturbation() -> dict[str, Figure]:
    change, predicted = RANDOM.normal(size=200), RANDOM.normal(size=(UNITS, 200))
    ranking = pd.DataFrame({"perturbation": TYPES[:UNITS], "seen": np.arange(UNITS) % 2 == 0})
    ranking["probability"], ranking["cosine"] = RANDOM.random((2, UNITS))
    checked = pd.DataFrame({"probability": RANDOM.random(500), "right": RANDOM.random(500) > 0.5})
    ranker = SimpleNamespace(changes_CG=predicted, candidates=SimpleNamespace(names=TYPES[:UNITS]))
    query = SimpleNamespace(change_G=change, symbols=[f"LONGGENE{at}" for at in range(200)])
    methods = (reverse_perturbation.MODEL, *reverse_perturbation.BASELINES)
    known = [{"ranks": dict.fromkeys(methods, at + 1.0)} for at in range(UNITS)]
    return {
        "candidates": reverse_perturbation.candidate_figure(ranking),
        "drivers": reverse_perturbation.driver_figure(ranking, ranker, query),
        "calibration": reverse_perturbation.calibration_figure(checked),
        "known": reverse_perturbation.known_figure(known, ranking),
    }


DRAWERS = {
    "annotation": draw_annotation,
    "batch_correction": draw_batch_correction,
    "denoising": draw_denoising,
    "embedding": draw_embedding,
    "gene_network": draw_gene_network,
    "multiomics": draw_multiomics,
    "perturbation": draw_perturbation,
    "reverse_perturbation": draw_reverse_perturbation,
}
