"""The report of a batch correction: who kept the types and mixed the batches best, shown and said."""

from typing import Any

from sc_mamba2.reporting import (
    Section,
    Table,
    comparison,
    score_table,
    scores_by_method,
    task_report,
)

PICTURES = {
    "by_batch": "Cells by batch, before and after the correction (UMAP)",
    "by_type": "Cells by type, before and after the correction (UMAP)",
    "training": "Losses over the epochs",
}
CAPTION = (
    "Same cells; higher is better. avg bio = mean of nmi, ari, asw label (types kept); avg batch = "
    "mean of asw batch, graph connectivity (batches mixed within types). batch mixing needs no "
    "types: neighbours' batches, 1 as by chance. The marked row has the best avg bio."
)


def correction_report(
    metrics: dict[str, Any], figures: dict[str, bytes], parameters: dict[str, Any]
) -> str:
    """Write the report as one HTML page.

    Parameters
    ----------
    metrics
        As in ``metrics.json``.
    figures
        PNG bytes by name.
    parameters
        Flat parameters by name.
    """
    data, run = metrics["data"], metrics["run"]
    lead = f"{data['cells']:,} cells of {len(data['batches']):,} batches. No label was trained on."
    pictures = {PICTURES[name]: picture for name, picture in figures.items()}
    table = score_table(scores_by_method(metrics), list(metrics["model"]), CAPTION, "avg_bio")
    sections = [
        Section("How well it went", _verdict(metrics), [table]),
        Section("Pictures", pictures=pictures),
        Section("What was read and dropped", _remarks(data), [_read_table(data)]),
        Section("What was written", tables=[_written_table()]),
    ]
    return task_report("Batch correction", lead, sections, parameters, run)


def _verdict(metrics: dict[str, Any]) -> list[str]:
    """Say in words who won, and what the parts of the model are worth."""
    if "avg_bio" not in metrics["model"]:
        return [
            "No column of types was named, or it has too few: whether types were kept cannot be "
            "scored. Batches can be mixed perfectly by mixing everything; look at the pictures."
        ]
    words = []
    for score, what in (("avg_bio", "types kept (AvgBIO)"), ("asw_batch", "batches mixed (ASW)")):
        if score not in metrics["model"]:
            continue
        own = metrics["model"][score]
        others = {name: s[score] for name, s in metrics["baselines"].items() if score in s}
        if others:
            name = max(others, key=lambda method: others[method])
            best = others[name]
            words.append(
                f"{what}: the model's {own:.3f} {comparison(own, best)} the best baseline, {name} ({best:.3f})."
            )
        for name, scores in metrics["ablations"].items():
            if score in scores:
                change = own - scores[score]
                words.append(
                    f"{what}: {name} reaches {scores[score]:.3f} ({change:+.3f} for all parts)."
                )
    return words


def _read_table(data: dict[str, Any]) -> Table:
    genes, expression = data["reference"]["genes"], data["reference"]["expression"]
    rows = [
        ["expression", f"{expression['origin']} ({expression['kind']})"],
        *([f"batch {name}", f"{count:,} cells"] for name, count in data["batches"].items()),
        ["cells with a type, types", f"{data['labelled_cells']:,}, {data['labels']:,}"],
        *([f"genes {name}", f"{genes[name]:,}"] for name in ("total", "matched", "kept")),
        ["genes the model uses", f"{data['genes_used']:,}"],
    ]
    return Table([], rows, "Genes by Ensembl id, then symbol.")


def _remarks(data: dict[str, Any]) -> list[str]:
    remarks = [*data["doubts"], *data["reference"]["remarks"]]
    return [f"{remark['remark']} ({remark['rule']})." for remark in remarks]


def _written_table() -> Table:
    return Table(
        ["key of integrated.h5ad", "meaning"],
        [
            ['obsm["X_scm_corrected"]', "the embedding of the cell without its batch"],
            ['layers["scm_corrected"]', "where it was asked for: expression without the batch"],
            ['uns["scm"]', "version, checkpoint, batches, source of the expression, command"],
        ],
    )
