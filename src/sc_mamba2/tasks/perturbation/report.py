"""The report of a perturbation: what is predicted, how far to trust it, and who predicts best."""

from typing import Any

import numpy as np
import pandas as pd

from sc_mamba2.reporting import (
    Section,
    Table,
    beside_baselines,
    pictures_section,
    read_section,
    score_table,
    scores_by_method,
    task_report,
    worth_of_parts,
    written_section,
)
from sc_mamba2.reporting.pictures import captions, draw_pictures
from sc_mamba2.tasks.perturbation.evaluate import CEILING, UNIT, Truth
from sc_mamba2.tasks.perturbation.figures import PICTURES
from sc_mamba2.tasks.shared.parameters import flat_parameters

DELTA = "pearson_delta"
CAPTION = (
    "Same held-out cells. Higher is better, but for mse and mae. pearson delta: correlation of the "
    "change of all genes; …_top: of the 20 that change most; direction match: share of these with the "
    "right sign; discrimination: whether the right perturbation's cells are the nearest (0.5 by "
    "chance; L1, and cosine). The marked row has the best pearson delta."
)
WRITTEN = {
    'layers["scm_predicted"]': "each control cell as if it were perturbed, log1p(CP10K)",
    'var["scm_predicted"]': "genes that are predicted",
    'uns["scm"]': "version, checkpoint, perturbation, source of the expression, command",
    "genes.csv": "mean, spread and change of every gene, p, q and direction",
    "split.parquet": "which cells were trained on and which were held out",
}


def report(
    metrics: dict[str, Any],
    genes: pd.DataFrame,
    parameters: dict[str, Any],
    predicted: dict[str, np.ndarray] | None = None,
    truth: Truth | None = None,
    history: pd.DataFrame | None = None,
) -> tuple[dict[str, bytes], str]:
    """Draw the figures and write the report; a run that trained shows more."""
    data = metrics["data"]
    figures = draw_pictures(
        PICTURES,
        table=genes,
        name=data["predicted"]["perturbation"],
        units=data["units"] or None,
        methods=["model", *metrics["baselines"]],
        truth=truth,
        predicted_TG=predicted["model"] if predicted else None,
        scored=data.get("scored"),
        history=history,
    )
    groups = ("ingestion", "validation", "tokenization", "perturbation", "compute")
    return figures, perturbation_report(metrics, figures, flat_parameters(parameters, groups))


def perturbation_report(
    metrics: dict[str, Any], figures: dict[str, bytes], parameters: dict[str, Any]
) -> str:
    """Write the report as one HTML page, from ``metrics.json``, PNG bytes and flat parameters by name."""
    data, run = metrics["data"], metrics["run"]
    trust = data["predicted"]
    lead = f"{trust['perturbation']}, predicted from control cells."
    sections = [Section("How far to trust it", _trust_words(metrics), [_trust_table(trust)])]
    if metrics["model"]:
        methods = scores_by_method(metrics) | metrics["views"]
        table = score_table(methods, list(metrics["model"]), CAPTION, DELTA)
        sections.append(
            Section("How well held-out cells are predicted", _verdict(metrics), [table])
        )
        sections.append(Section("Held out", tables=[_unit_table(metrics)]))
    sections += [
        pictures_section(figures, captions(PICTURES)),
        read_section(data["reference"], _read_rows(data), data["remarks"]),
        written_section("file or key", WRITTEN),
    ]
    return task_report("Perturbation", lead, sections, parameters, run)


def _trust_words(metrics: dict[str, Any]) -> list[str]:
    trust = metrics["data"]["predicted"]
    words = [
        f"{trust['perturbation']} was measured {trust['seen']}."
        if trust["seen"] != "never"
        else f"{trust['perturbation']} was never measured: it is estimated from perturbations like it."
    ]
    spread = trust["ensemble_spread_over_change"]
    if spread > 1:
        words.append(
            "Resampling the training moves the prediction further than its own size: take it as "
            "no prediction."
        )
    if metrics["model"]:
        score = metrics["model"][DELTA]
        words.append(
            f"Held-out perturbations of this file are predicted with a Pearson delta of {score:.2f} on "
            "average."
        )
    else:
        words.append("Nothing was held out in this run; the training's report has its scores.")
    return words


def _verdict(metrics: dict[str, Any]) -> list[str]:
    """Say in words who won, what the parts are worth, and whether predictions differ."""
    words = []
    for score, what in (
        (DELTA, "Pearson delta"),
        ("pearson_delta_top", "Pearson delta on the genes that change most"),
        ("discrimination", "Discrimination"),
    ):
        words += beside_baselines(score, what, metrics)
    words += worth_of_parts(DELTA, "Pearson delta", metrics)
    return words + _layer_words(metrics["data"]["layers"]) + _alike_words(metrics["data"])


def _layer_words(gate: dict[str, Any]) -> list[str]:
    if "loss_with" not in gate:
        return []
    losses = (
        f"on training effects kept apart the loss is {gate['loss_with']:.4f} with the Mamba2 "
        f"layers and {gate['loss_without']:.4f} without (p = {gate['p']:.2f})"
    )
    if gate["kept"]:
        return [f"The Mamba2 layers are part of the predictions: {losses}."]
    return [f"The Mamba2 layers did not earn their place and were left out: {losses}."]


def _alike_words(data: dict[str, Any]) -> list[str]:
    alike = data["correlation_between"]
    if not alike:
        return []
    return [
        f"Predicted effects of two perturbations correlate by {alike['predicted']:.2f} on average, "
        f"real ones by {alike['real']:.2f}: near 1 for the first alone, all predictions would be one."
    ]


def _trust_table(trust: dict[str, Any]) -> Table:
    near = ", ".join(f"{name} ({cosine:.2f})" for name, cosine in trust["nearest_seen"].items())
    rows = [
        ["measured", trust["seen"]],
        ["weight of its own measurement", f"{trust['measured_weight']:.2f}"],
        ["nearest measured perturbations (cosine)", near or "nothing describes it"],
        ["spread of resamples over change", f"{trust['ensemble_spread_over_change']:.2f}"],
        ["genes with q < 0.05", f"{trust['genes_changed']:,}"],
    ]
    return Table([], rows, "Spread over change: 0 is sure, 1 is as unsure as the change is large.")


def _unit_table(metrics: dict[str, Any]) -> Table:
    data, methods = metrics["data"], ["model", *metrics["baselines"]]
    rows, best = [], set()
    for place, unit in enumerate(sorted(data["units"], key=lambda unit: -unit[CEILING])):
        scores = [f"{unit['scores'][method]['pearson_delta']:.3f}" for method in methods]
        rows.append([unit[UNIT], f"{unit['cells']:,}", f"{unit[CEILING]:.2f}", *scores])
        if unit[UNIT] in data["scored"]:
            best.add(place)
    caption = (
        "Pearson delta by held-out perturbation. ceiling: what one half of its cells tells of the "
        "other. The scores above are means over the marked rows."
    )
    return Table(["held out", "cells", "ceiling", *methods], rows, caption, frozenset(best))


def _read_rows(data: dict[str, Any]) -> list[tuple[str, Any]]:
    named = ("split", "training_perturbations", "contexts") if "split" in data else ()
    return [(name.replace("_", " "), data[name]) for name in named]
