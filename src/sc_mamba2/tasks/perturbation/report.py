"""Report of the perturbation task: the prediction, how far to trust it, comparison of methods."""

from typing import Any

import numpy as np
import pandas as pd

from sc_mamba2.reporting import (
    Section,
    Table,
    ablation_sentences,
    baseline_sentences,
    draw_pictures,
    pictures_section,
    read_section,
    score_table,
    scores_by_method,
    task_report,
    written_section,
)
from sc_mamba2.tasks.perturbation.evaluate import CEILING, UNIT, WITH_EFFECT, Truth
from sc_mamba2.tasks.perturbation.figures import PICTURES
from sc_mamba2.tasks.shared.parameters import flat_parameters

DELTA = "pearson_delta"
_LIKENESS = {"pathways": "shared pathways (Reactome)", "features": "features of the genes"}
CAPTION = (
    "Same held-out cells, means over all held-out perturbations. Higher is better, except for mse and mae. "
    "pearson delta: correlation of the change of all genes; …_top: of the 20 that change most; direction "
    "match: share of these with the right sign; discrimination: whether the right perturbation's cells are "
    "the nearest (0.5 by chance; L1, and cosine). The row with the best pearson delta is marked."
)
WRITTEN = {
    'layers["scm_predicted"]': "each control cell as if perturbed, log1p(CP10K); other genes keep its value",
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
    """Draw the figures and write the report; the last three are given after a training."""
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
    """Return the report as one HTML page; `figures` are PNG bytes, `parameters` flat, both by name."""
    data, run = metrics["data"], metrics["run"]
    trust = data["predicted"]
    sections = [Section("How far to trust it", _trust_words(metrics), [_trust_table(trust)])]
    if metrics["model"]:
        tables = _score_tables(metrics)
        sections.append(Section("How well held-out cells are predicted", _verdict(metrics), tables))
        sections.append(Section("Held out", tables=[_unit_table(metrics)]))
    sections += [
        pictures_section(figures, PICTURES),
        read_section(data["reference"], _read_rows(data), data["remarks"]),
        written_section("file or key", WRITTEN),
    ]
    return task_report("Perturbation", metrics.get("summary", ()), sections, parameters, run)


def _trust_words(metrics: dict[str, Any]) -> list[str]:
    trust = metrics["data"]["predicted"]
    words = [
        f"{trust['perturbation']} was measured {trust['seen']}."
        if trust["seen"] != "never"
        else f"{trust['perturbation']} was never measured: {similarity_words(trust['likeness'])}."
    ]
    spread = trust["ensemble_spread_over_change"]
    if spread > 1:
        words.append(
            "Resampling the training changes the prediction by more than its own size: treat it as "
            "no prediction."
        )
    if metrics["model"]:
        words.append(on_average(metrics))
        if trust["perturbation"] in {unit[UNIT] for unit in metrics["data"]["units"]}:
            words.append(
                f"{trust['perturbation']} was held out for the scores below; the prediction is from the model "
                "fitted to all cells, including its own."
            )
    else:
        words.append("Nothing was held out in this run; the report of the training has the scores.")
    return words


def similarity_words(likeness: dict[str, Any]) -> str:
    """Explain from which effects one that was never measured is estimated."""
    if not likeness["nearest"]:
        return "it resembles no measured one, so it gets their shrunken mean"
    by = " and ".join(_LIKENESS[one] for one in likeness["by"])
    words = (
        f"it is estimated from the measured ones, weighted by {by}, mainly from {_near(likeness)}"
    )
    if "pathways" in likeness["by"]:
        return words
    return f"{words}; it shares no pathway with any of them, so much of it is their shrunken mean"


def _near(likeness: dict[str, Any]) -> str:
    near = likeness["nearest"].items()
    return ", ".join(f"{name} ({one['weight']:.2f})" for name, one in near)


def on_average(metrics: dict[str, Any]) -> str:
    """Report the mean Pearson delta of held-out perturbations: all, and those with an effect."""
    data, floor = metrics["data"], metrics["data"]["least_ceiling"]
    strong, scored = data["with_effect"], data["scored"]
    words = (
        f"Pearson delta of all {len(scored):,} held-out perturbations: {metrics['model'][DELTA]:.2f} on "
        f"average, with a noise ceiling of {data['mean_ceiling']:.2f}; "
    )
    if not strong:
        return f"{words}none reaches a ceiling of {floor:g}: there may be no effect to predict."
    mean = metrics["views"][f"model{WITH_EFFECT}"][DELTA]
    return f"{words}for the {len(strong):,} with a ceiling of at least {floor:g}: {mean:.2f}."


def _score_tables(metrics: dict[str, Any]) -> list[Table]:
    """Return tables of scores: over all held-out units, then over those with an effect, if fewer."""
    data, columns = metrics["data"], list(metrics["model"])
    tables = [score_table(scores_by_method(metrics), columns, CAPTION, DELTA)]
    if 0 < len(data["with_effect"]) < len(data["scored"]):
        caption = f"Only perturbations whose noise ceiling is at least {data['least_ceiling']:g}."
        views = {name.removesuffix(WITH_EFFECT): view for name, view in metrics["views"].items()}
        tables.append(score_table(views, columns, caption, DELTA))
    return tables


def _verdict(metrics: dict[str, Any]) -> list[str]:
    """Summarise which method won, what the parts contribute, and whether predictions differ."""
    words = baseline_sentences(metrics) + ablation_sentences(DELTA, "Pearson delta", metrics)
    words += _share_words(metrics["data"])
    return words + _layer_words(metrics["data"]["layers"]) + _alike_words(metrics["data"])


def _share_words(data: dict[str, Any]) -> list[str]:
    """Report the shares of the weightings, if perturbations (or combinations) were held out."""
    if data["split"] not in ("unseen_perturbation", "unseen_combination"):
        return []
    shares = ", ".join(
        f"{name.replace('_', ' ')} {share:.2f}" for name, share in data["shares"].items()
    )
    return [
        "An unseen perturbation is predicted as a mixture of ways to weight the training effects; their shares, "
        f"from training perturbations that were left out: {shares}."
    ]


def _layer_words(gate: dict[str, Any]) -> list[str]:
    if "loss_with" not in gate:
        return []
    losses = (
        f"on held-out training effects the loss is {gate['loss_with']:.4f} with the Mamba2 "
        f"layers and {gate['loss_without']:.4f} without (p = {gate['p']:.2f})"
    )
    if gate["kept"]:
        return [f"The Mamba2 layers are part of the predictions (weight 1): {losses}."]
    return [
        f"The Mamba2 layers did not improve the predictions and were left out (weight 0): {losses}."
    ]


def _alike_words(data: dict[str, Any]) -> list[str]:
    mean = data["correlation_between"]
    if not mean:
        return []
    return [
        f"Predicted effects of two perturbations correlate by {mean['predicted']:.2f} on average, real ones "
        f"by {mean['real']:.2f}; if only the first were near 1, all predictions would be the same."
    ]


def _trust_table(trust: dict[str, Any]) -> Table:
    likeness = trust["likeness"]
    near = _near(likeness) or "resembles none: the shrunken mean"
    by = " and ".join(_LIKENESS[one] for one in likeness["by"]) or "none"
    rows = [
        ["measured", trust["seen"]],
        ["weight of its own measurement", f"{trust['measured_weight']:.2f}"],
        ["similarity used", by],
        ["nearest measured perturbations (weight if not measured itself)", near],
        ["spread of resamples over change", f"{trust['ensemble_spread_over_change']:.2f}"],
        ["genes with q < 0.05", f"{trust['genes_changed']:,}"],
    ]
    return Table(
        [], rows, "Spread over change: 0 is certain, 1 is as uncertain as the change is large."
    )


def _unit_table(metrics: dict[str, Any]) -> Table:
    data, methods = metrics["data"], ["model", *metrics["baselines"]]
    rows, best = [], set()
    for place, unit in enumerate(sorted(data["units"], key=lambda unit: -unit[CEILING])):
        scores = [f"{unit['scores'][method]['pearson_delta']:.3f}" for method in methods]
        likeness = data["partners"].get(unit[UNIT])
        near = "" if likeness is None else _near(likeness) or "resembles none: shrunken mean"
        rows.append([unit[UNIT], f"{unit['cells']:,}", f"{unit[CEILING]:.2f}", *scores, near])
        if unit[UNIT] in data["with_effect"]:
            best.add(place)
    caption = (
        "Pearson delta by held-out perturbation. ceiling: how well one half of its cells predicts the "
        "other. In the marked rows it is high enough for an effect to exist."
    )
    header = ["held out", "cells", "ceiling", *methods, "estimated mainly from (weight)"]
    return Table(header, rows, caption, frozenset(best))


def _read_rows(data: dict[str, Any]) -> list[tuple[str, Any]]:
    named = ("split", "training_perturbations", "contexts") if "split" in data else ()
    return [(name.replace("_", " "), data[name]) for name in named]
