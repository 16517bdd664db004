"""The report of a batch correction: who kept the types and mixed the batches best, shown and said."""

from typing import Any

from sc_mamba2.pipelines.batch_correction.evaluate import scores_by_method
from sc_mamba2.reporting import Section, Table, render_report

PICTURES = {
    "by_batch": "Cells by batch, before and after the correction (UMAP)",
    "by_type": "Cells by type, before and after the correction (UMAP)",
    "training": "Losses over the epochs",
}


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
    sections = [
        Section("How well it went", _verdict(metrics), [score_table(metrics)]),
        Section("Pictures", pictures=pictures),
        Section("What was read and dropped", _remarks(data), [_read_table(data)]),
        Section("What was written", tables=[_written_table()]),
        Section("Parameters", tables=[Table(["parameter", "value"], _rows(parameters))]),
        Section("Run", tables=[Table([], _rows(run))]),
    ]
    footer = f"sc-mamba2 {run.get('version', '')} · run {run.get('run_id', '')}"
    return render_report("Batch correction", lead, sections, footer)


def score_table(metrics: dict[str, Any]) -> Table:
    """Return the table of all methods; the best AvgBIO among model and baselines is marked."""
    methods = scores_by_method(metrics)
    columns = list(metrics["model"])
    rows = [
        [name, *(f"{scores[c]:.3f}" if c in scores else "–" for c in columns)]
        for name, scores in methods.items()
    ]
    # An ablation is a question to the model, not a rival of it: it is never marked.
    rivals = {
        name: scores["avg_bio"]
        for name, scores in methods.items()
        if "avg_bio" in scores and not name.startswith("ablation")
    }
    best = frozenset(
        place
        for place, name in enumerate(methods)
        if name in rivals and rivals[name] == max(rivals.values())
    )
    caption = (
        "Same cells; higher is better. avg bio = mean of nmi, ari, asw label (types kept); avg batch = "
        "mean of asw batch, graph connectivity (batches mixed within types). batch mixing needs no "
        "types: neighbours' batches, 1 as by chance. The marked row has the best avg bio."
    )
    return Table(["method", *(column.replace("_", " ") for column in columns)], rows, caption, best)


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
            verb = "is above" if own > best else "equals" if own == best else "is BELOW"
            words.append(
                f"{what}: the model's {own:.3f} {verb} the best baseline, {name} ({best:.3f})."
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


def _rows(values: dict[str, Any]) -> list[list[str]]:
    return [[str(name), str(value)] for name, value in values.items()]
