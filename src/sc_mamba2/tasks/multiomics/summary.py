"""What a reader sees first of a joint embedding: what came out, how far to trust it, what to look at."""

from typing import Any

from sc_mamba2.reporting import score_clause


def summarize(metrics: dict[str, Any]) -> tuple[str, str, str]:
    """Return three sentences on the contents of ``metrics.json``: the result, its trust, and what to look at."""
    data = metrics["data"]
    have = ", ".join(f"{count:,} with {kind}" for kind, count in data["modalities"].items())
    result = (
        f"{data['cells']:,} cells, {have}, have one joint embedding, and missing modalities are predicted; no "
        "labels were used in training."
    )
    scores = ("avg_bio", *(name for name in metrics["model"] if name.startswith("pearson_")))
    scored = score_clause(metrics, *scores)
    trust = (
        f"On {data['scored_cells']:,} scored cells: {scored}."
        if scored
        else "Nothing could be scored here, so these cells do not say how far to trust it."
    )
    look = (
        "Look at the map of the joint embedding next to that of RNA alone, and at how well predicted and "
        "measured features agree, before you use them."
    )
    return result, trust, look
