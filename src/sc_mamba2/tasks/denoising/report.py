"""The report of denoising: which method predicts held-out molecules best, and how much it gains."""

from typing import Any

from sc_mamba2.reporting import (
    Section,
    Table,
    baseline_sentences,
    draw_pictures,
    pictures_section,
    read_section,
    scores_by_method,
    task_report,
    written_section,
)
from sc_mamba2.tasks.denoising.choose import Judged
from sc_mamba2.tasks.denoising.evaluate import FLOOR
from sc_mamba2.tasks.denoising.figures import PICTURES
from sc_mamba2.tasks.denoising.priors import MEANS, PRETRAINED
from sc_mamba2.tasks.shared.parameters import flat_parameters

GROUPS = ("ingestion", "validation", "denoising", "compute")
WRITTEN = {
    'layers["scm_denoised"]': "expected molecules per 10,000 of the cell; NaN for genes that were not read",
    'var["scm_denoised"]': "which genes have values",
    'obsm["scm_denoised"]': "with --genes: the same for these genes, instead of both",
    'obsm["scm_imputed"]': "with --impute: genes that were not measured, predicted by the model",
    'uns["scm"]': "version, source of the counts, prior, its numbers, phi, nats, command",
}
CAPTION = (
    "Nats per held-out molecule, lower is better; gain over the gene means ± standard error over cells. "
    "'posterior' also uses the cell's own counts. Numbers were chosen on other molecules."
)


def report(
    judged: Judged, metrics: dict[str, Any], parameters: dict[str, Any]
) -> tuple[dict[str, bytes], str]:
    """Draw the figures, PNG by name, and write the one-file HTML report."""
    figures = draw_pictures(PICTURES, metrics=metrics, calibration=judged.calibration)
    return figures, denoising_report(metrics, figures, flat_parameters(parameters, GROUPS))


def denoising_report(
    metrics: dict[str, Any], figures: dict[str, bytes], parameters: dict[str, Any]
) -> str:
    """Write the HTML page from ``metrics.json``, PNG files by name and parameters by dotted name."""
    data, run = metrics["data"], metrics["run"]
    sections = [
        Section("How well it went", verdict(metrics), [_score_table(metrics)]),
        *_imputed_section(data.get("imputed", {})),
        pictures_section(figures, PICTURES),
        read_section(data["reference"]),
        written_section("key of denoised.h5ad", WRITTEN),
    ]
    return task_report("Denoising", metrics.get("summary", ()), sections, parameters, run)


def _imputed_section(found: dict[str, float]) -> list[Section]:
    """Describe how reliable the imputed genes are, if any were requested."""
    if not found.get("genes"):
        return []
    words = [
        f"{found['genes']:,} genes that the file lacks were imputed by the pretrained model. They are not "
        "backed by counts: use them to explore, not to test.",
        f"As a check, {found['hidden_genes']:,.0f} genes of the file were hidden and imputed from the others.",
    ]
    if "level" in found:
        words.append(
            f"Their predicted levels have a rank correlation of {found['level']:.2f} with the measured ones."
        )
    if "cells" in found:
        words.append(
            f"Across cells, the median correlation with the counts is {found['cells']:.2f}, in the "
            f"{found['expressed_genes']:,.0f} genes with at least one molecule per 10,000."
        )
    return [Section("Imputed genes", words, [])]


def verdict(metrics: dict[str, Any]) -> list[str]:
    """Describe what the denoised rates gain, and how much of it comes from the prior."""
    gains, chosen = metrics["data"]["gains"], metrics["data"]["chosen"]
    prior = chosen["prior"].replace("_", " ")
    means = _gain_words("the gene means", **gains[MEANS])
    own = _gain_words("the gene means with the cell's own counts (the posterior)", **gains[FLOOR])
    words = [f"{means} {own}"]
    if chosen["prior"] == MEANS:
        words.append(
            "No prior predicted better than the gene means: the cell's own counts do the work."
        )
    if chosen["prior"] == PRETRAINED:
        others = {name: gains[name] for name in metrics["ablations"] if name != PRETRAINED}
        if others:
            best = min(others, key=lambda name: metrics["ablations"][name]["nats"])
            words.append(_gain_words(f"without the pretrained model ({best})", **others[best]))
    words.append(f"Prior: {prior}; chosen on an inner split that excludes the scored molecules.")
    return words + baseline_sentences(metrics)


def _gain_words(other: str, nats: float, error: float) -> str:
    size = f"by {abs(nats):.3f} ± {error:.3f} nats per molecule"
    if abs(nats) <= 2 * error or nats == 0:
        return f"The denoised rates predict held-out molecules no better than {other} ({nats:+.3f} ± {error:.3f})."
    how = "better" if nats > 0 else "WORSE"
    return f"The denoised rates predict held-out molecules {how} than {other} {size}."


def _score_table(metrics: dict[str, Any]) -> Table:
    numbers = metrics["data"]["numbers"]
    rows = []
    for shown, scores in scores_by_method(metrics).items():
        kind, _, name = shown.partition(": ")
        own = metrics["data"]["chosen"] if kind == "model" else numbers[name]
        words = ", ".join(
            f"{key.replace('_', ' ')} {str(value).replace('_', ' ')}" for key, value in own.items()
        )
        gain = f"{scores['gain']:+.3f} ± {scores['gain_error']:.3f}"
        label = "denoised" if kind == "model" else name.replace("_", " ")
        rows.append([label, words or "–", f"{scores['nats']:.3f}", gain])
    best = min(float(row[2]) for row in rows)
    marked = frozenset(at for at, row in enumerate(rows) if float(row[2]) == best)
    return Table(["method", "numbers", "nats", "gain"], rows, CAPTION, marked)
