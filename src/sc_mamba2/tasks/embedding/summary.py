"""What a reader sees first of an embedding: what came out, how far to trust it, what to look at."""

from typing import Any

from sc_mamba2.reporting import counted_types, score_clause


def summarize(metrics: dict[str, Any]) -> tuple[str, str, str]:
    """Return three sentences on the contents of ``metrics.json``: the result, its trust, and what to look at."""
    data = metrics["data"]
    result = (
        f"{data['cells']:,} cells have an embedding of {data['width']} numbers each; nothing was trained on "
        "them."
    )
    if "called" in data:
        result = (
            f"{data['cells']:,} cells have the types of the nearest cells of the index"
            f"{counted_types(data['called'])}; {metrics['model']['unassigned_share']:.1%} of them are left "
            "unassigned, as too uncertain or too far from every type."
        )
    trust = (
        f"On {data['scored_cells']:,} cells with a label: {score_clause(metrics, 'knn_accuracy')}."
        if "knn_accuracy" in metrics["model"]
        else "No column of labels was given, so how well types stay together is not known here."
    )
    look = (
        "Look at the map first: types should be separate and batches mixed, and cells with few genes should not "
        "form a group of their own."
    )
    return result, trust, look
