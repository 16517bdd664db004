"""Report of annotation: scores against the baselines, what was read and written."""

from typing import Any

import pandas as pd
from anndata import AnnData

from sc_mamba2.cells import keys
from sc_mamba2.reporting import (
    CellMap,
    Section,
    Table,
    baseline_sentences,
    draw_pictures,
    lay_out,
    pictures_section,
    remark_words,
    score_table,
    task_report,
    unshared_words,
    written_section,
)
from sc_mamba2.tasks.annotation.annotator import LABEL
from sc_mamba2.tasks.annotation.evaluate import methods_and_views
from sc_mamba2.tasks.annotation.figures import PICTURES
from sc_mamba2.tasks.annotation.markers import type_markers
from sc_mamba2.tasks.annotation.params import FINE_TUNED
from sc_mamba2.tasks.annotation.split import named_batches
from sc_mamba2.tasks.shared.parameters import flat_parameters
from sc_mamba2.training import ComputeOptions

ROLES = ("reference", "query")
SCORES = ("accuracy", "balanced_accuracy", "macro_precision", "macro_f1")
CAPTION = (
    "Same cells, same split; higher is better. The marked row is the best method. The views of the "
    "model have cells or classes of their own: those it assigned, the broad types, the votes."
)
WRITTEN = {
    'obs["scm_cell_type"]': "the best class, always",
    'obs["scm_cell_type_confidence"]': "its probability",
    'obs["scm_unassigned"]': "whether that is below the threshold, or the cell far from every type",
    'obs["scm_cell_type_set"]': "the types that may be true, at the coverage that was asked for",
    'obs["scm_cell_type_parent"]': "what all of these are: the type, or their common parent in the Cell Ontology",
    'obs["scm_cell_type_agreement"]': "of a consensus: weight of the experts that call this type",
    'obs["scm_distance"]': "of a consensus: how far from any type, 0 to 2",
    'obsm["scm_cell_type_experts"]': "of a consensus: what each expert calls",
    'obs["scm_cell_type_broad"]': "with a roll-up: the best broad type, and _confidence",
    'obs["scm_cell_type_majority"]': "with a majority vote: the type of the neighbourhood",
    'obsm["scm_cell_type_probability"]': "probability of every class",
    'obsm["X_scm"]': "embedding of the cell",
    'uns["scm"]': "version, checkpoint, vocabulary, source of the expression, seed, command",
}


def report(
    metrics: dict[str, Any],
    calls: pd.DataFrame,
    embedding: pd.DataFrame,
    truth: pd.DataFrame,
    raw_query: AnnData,
    valid_query: AnnData,
    parameters: dict[str, Any],
    compute: ComputeOptions,
    history: pd.DataFrame | None = None,
) -> tuple[dict[str, bytes], str]:
    """Draw the figures, PNG bytes by name, and write the report as one HTML page."""
    places = lay_out(embedding, compute.seed)
    figures = draw_pictures(
        PICTURES,
        places=places,
        calls=calls,
        truth=truth[LABEL],
        scored=truth[LABEL] if metrics["data"]["scored_cells"] else None,
        history=history if history is not None and len(history) else None,
    )
    groups = ("ingestion", "validation", "tokenization", "annotation", "compute")
    cell_map = map_of_calls(places, calls, truth[LABEL], raw_query.obs)
    flat = flat_parameters(parameters, groups)
    markers = type_markers(valid_query, calls)
    return figures, annotation_report(metrics, figures, flat, cell_map, markers)


def map_of_calls(
    places: pd.DataFrame, calls: pd.DataFrame, truth: pd.Series, obs: pd.DataFrame
) -> CellMap:
    """Return the map of the cells by call, and by true type and batch, if known."""
    columns = {"predicted type": calls[keys.CELL_TYPE]}
    if len(truth):
        columns["true type"] = truth
    columns["confidence"] = calls[keys.CONFIDENCE]
    batch = named_batches(obs, "")
    if batch is not None and obs.index.is_unique:
        columns["batch" if batch == "batch" else f"batch ({batch})"] = obs[batch]
    columns["unassigned"] = calls[keys.UNASSIGNED]
    if keys.TYPE_SET in calls:  # braces: a set of one type must not share the type's colour
        columns["types that may be true"] = "{" + calls[keys.TYPE_SET].astype(str) + "}"
    return CellMap("Cells by UMAP of the model's embedding", {"UMAP": places}, columns, ("umap",))


def annotation_report(
    metrics: dict[str, Any],
    figures: dict[str, bytes],
    parameters: dict[str, Any],
    cell_map: CellMap | None = None,
    markers: dict[str, tuple[int, list[str]]] | None = None,
) -> str:
    """Return the report as one HTML page; `figures` are PNG bytes, `parameters` flat, both by name."""
    reports = {role: metrics["data"][role] for role in ROLES if role in metrics["data"]}
    data, run = metrics["data"], metrics["run"]
    table = score_table(methods_and_views(metrics), list(SCORES), CAPTION, "accuracy")
    scored = "accuracy" in metrics["model"]
    remarks = [
        words
        for role, report in reports.items()
        for words in remark_words(report["remarks"], of=f"{role}: ")
    ]
    sections = [
        Section("How well it went", _verdict(metrics), [table] if scored else []),
        *_experts_section(metrics.get("experts", {}), data),
        *_ontology_section(metrics),
        pictures_section(figures, PICTURES, cell_map),
        *_markers_section(markers or {}),
        Section("What was read and dropped", remarks, [_read_table(reports)]),
        written_section("key of annotated.h5ad", WRITTEN),
    ]
    return task_report(
        "Cell-type annotation", metrics.get("summary", ()), sections, parameters, run
    )


def _markers_section(markers: dict[str, tuple[int, list[str]]]) -> list[Section]:
    """Return the section of the called types' markers."""
    if not markers:
        return []
    rows = [
        [name, f"{cells:,}", ", ".join(genes) or "-"] for name, (cells, genes) in markers.items()
    ]
    words = (
        "Genes that distinguish the cells of each called type from all others here, most significant first. Known "
        "markers of the type support the calls; known markers of another type contradict them."
    )
    table = Table(["type", "cells", "genes"], rows, "By Welch's t of log-normalised values.")
    return [Section("Markers of the called types", [words], [table])]


def _verdict(metrics: dict[str, Any]) -> list[str]:
    """Summarise which method won, and what the trunk contributes."""
    model = metrics["model"].get("accuracy")
    if model is None:
        alarms = remark_words(metrics["data"].get("alarms", ()))
        unshared = metrics["data"].get("labels_unshared")
        if unshared:
            return [unshared_words(unshared, "the reference"), *alarms]
        shared = remark_words(metrics["data"].get("remarks", ()))
        whose = "No other cell of the query has a label" if shared else "The query has no labels"
        return [*shared, f"{whose} under this key, so nothing can be scored.", *alarms]
    known = metrics["data"]["known_share"]
    words = [
        *remark_words(metrics["data"].get("remarks", ())),
        f"{known:.1%} of the scored cells have a type of the reference; no method can be more accurate.",
    ]
    words += baseline_sentences(metrics)
    frozen = metrics["ablations"].get("trunk_frozen", {}).get("accuracy")
    if frozen is not None:
        cells = round((model - frozen) * metrics["data"]["scored_cells"])
        words.append(
            f"With its Mamba2 layers left untrained the model reaches {frozen:.3f}: training them "
            f"changes {cells:+,} of {metrics['data']['scored_cells']:,} cells ({model - frozen:+.3f})."
        )
    return words + _on_confidence(metrics)


def _experts_section(experts: dict[str, dict[str, float]], data: dict[str, Any]) -> list[Section]:
    """Return the section of a consensus's experts, highest weight first."""
    if not experts:
        return []
    key = data.get("batch_key")
    left_out = (
        "reference cells that were left out should be called correctly, which counts more the harder the "
        f"query is to tell from the reference ({data['likeness']:.2f} here; 1: impossible, 0: easy)."
    )
    if key:
        left_out += f" Whole batches that were left out (obs['{key}']) count too, in any case."
    words = (
        "The consensus combines several methods. Their weights are chosen without the labels of these cells: "
        f"cells of one cluster should get one type, and {left_out} "
        'The calls of each method are in obsm["scm_cell_type_experts"].'
    )
    if FINE_TUNED in experts:
        words += (
            f" {FINE_TUNED} is the trained network: its validation cells take the place of those left out, and "
            "count as far as the query resembles the reference."
        )
    if "trunk_regression" in experts:
        words += (
            f" trunk_regression reads the genes and the cell embedding of {data['start']}, which is used with "
            "--start, or by default where labels are few."
        )
    ordered = dict(sorted(experts.items(), key=lambda pair: -pair[1]["weight"]))
    scores = [name for name in SCORES if any(name in own for own in ordered.values())]
    table = score_table(ordered, ["weight", "like_consensus", *scores], "Higher is better.")
    return [Section("Which methods made the calls", [words], [table])]


def _ontology_section(metrics: dict[str, Any]) -> list[Section]:
    """Return the section of the types' Cell Ontology terms, and of how often parents are right."""
    terms, model = metrics["data"].get("terms"), metrics["model"]
    if terms is None:
        return []
    words = [
        f"{model['parent_share']:.1%} of the cells have one type, or a common parent of several possible types "
        f"({model['several_share']:.1%} have several)."
    ]
    if "parent_accuracy" in model:
        several = model.get("several_parent_accuracy")
        of_several = "" if several is None else f" ({several:.1%} for parents of several)"
        words.append(
            f"For {model['parent_accuracy']:.1%} of the cells whose type is known, it is that type or a parent of "
            f"it{of_several}."
        )
    if missing := [name for name, term in terms.items() if term is None]:
        words.append(f"Not found, so that a set with one has no parent: {', '.join(missing)}.")
    rows = [[name, *(term or ["–", "–"])] for name, term in terms.items()]
    caption = "How the reference's types were read, by their ids or by their names; CL, CC BY 4.0."
    table = Table(["type", "id", "Cell Ontology"], rows, caption)
    return [Section("What the types have in common", [" ".join(words)], [table])]


def _on_confidence(metrics: dict[str, Any]) -> list[str]:
    """Summarise calibration, sets of types, and detection of unknown types."""
    model = metrics["model"]
    words = remark_words(metrics["data"].get("alarms", ()))
    fitted = metrics["data"].get("calibration", {})
    if fitted.get("cells"):
        how = (
            f"A temperature of {fitted['temperature']:.2f} was applied: it takes"
            if fitted["applied"]
            else "No temperature was applied, since it made validation worse. It would take"
        )
        words.append(
            f"{how} the calibration error of {fitted['cells']:,} other validation cells "
            f"from {fitted['error_before']:.3f} to {fitted['error_after']:.3f}"
            f", their log loss from {fitted['loss_before']:.3f} to {fitted['loss_after']:.3f}; on the scored "
            f"cells the error is {model['expected_calibration_error']:.3f}."
        )
    if "set_coverage" in model:
        words.append(
            f"The set of types contains the true one for {model['set_coverage']:.1%} of the cells of known type, "
            f"with {model['set_size']:.2f} types per cell."
        )
    assigned = metrics.get("views", {}).get("assigned", {})
    if "unseen_auroc" in model and "unseen_recall" in assigned:
        words.append(
            f"Cells of types that the reference lacks are distinguished from the others with an AUROC of "
            f"{model['unseen_auroc']:.3f} (0.5 is chance); {assigned['unseen_recall']:.1%} of them are "
            f"left unassigned, and {assigned.get('known_unassigned_share', 0):.1%} of the others."
        )
    return words


def _read_table(reports: dict[str, dict[str, Any]]) -> Table:
    counts = ("total", "matched", "ambiguous", "retired", "unknown", "kept")
    rows = [
        [
            role,
            f"{report['cells']:,}",
            f"{report['expression']['origin']} ({report['expression']['kind']})",
            *(f"{report['genes'][count]:,}" for count in counts),
            f"{report['genes_a_cell']['median']:.0f}",
        ]
        for role, report in reports.items()
    ]
    header = ["file", "cells", "expression", "genes", *counts[1:], "genes a cell"]
    return Table(header, rows, "Genes by Ensembl id, then symbol; `genes a cell` is a median.")
