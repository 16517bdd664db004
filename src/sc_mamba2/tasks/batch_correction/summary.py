"""What a reader sees first of a batch correction: what came out, how far to trust it, what to look at."""

from typing import Any

from sc_mamba2.reporting import score_clause


def summarize(metrics: dict[str, Any]) -> tuple[str, str, str]:
    """Return three sentences on the contents of ``metrics.json``: the result, its trust, and what to look at."""
    data = metrics["data"]
    result = (
        f"{data['cells']:,} cells of {len(data['batches']):,} batches were integrated into one embedding; no "
        "labels were used in training."
    )
    trust = (
        f"On the {data['labelled_cells']:,} cells whose type is known: {score_clause(metrics, 'avg_bio')}, and "
        f"{score_clause(metrics, 'avg_batch', 'asw_batch')}."
        if "avg_bio" in metrics["model"]
        else "No cell types are known here, so whether types were kept is not scored, and well-mixed batches "
        "alone prove nothing."
    )
    look = (
        "Look at the map before and after, by batch and by type: a type that is in one batch only must stay "
        "separate."
    )
    return result, trust, look
