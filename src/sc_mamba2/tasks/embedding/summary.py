"""What a reader sees first of an embedding: what came out, how far to trust it, what to look at."""

from typing import Any

from sc_mamba2.reporting import counted_calls, score_clause


def summarize(metrics: dict[str, Any]) -> tuple[str, str, str]:
    """Return three sentences on the contents of ``metrics.json``: the result, its trust, and what to look at."""
    data, model = metrics["data"], metrics["model"]
    if "called" in data:
        score, scored = "transfer_accuracy", "On the cells whose true type is known"
        called = data["called"]
        result = (
            f"{sum(called.values()):,} of {data['cells']:,} cells have the type of the nearest cells of the index"
            f"{counted_calls(called, model['unassigned_share'])}"
        )
    else:
        score, scored = "knn_accuracy", f"On {data['scored_cells']:,} cells with a label"
        result = (
            f"{data['cells']:,} cells have an embedding of {data['width']} numbers each; nothing was trained on "
            "them."
        )
    trust = (
        f"{scored}: {score_clause(metrics, score)}."
        if score in model
        else "No usable column of labels was given, so how well types are told apart is not known here."
    )
    look = (
        "Look at the map first: types should be separate and batches mixed, and cells with few genes should not "
        "form a group of their own."
    )
    return result, trust, look
