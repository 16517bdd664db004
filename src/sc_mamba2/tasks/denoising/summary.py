"""What a reader sees first of a denoising: what came out, how far to trust it, what to look at."""

from typing import Any

from sc_mamba2.reporting import score_clause


def summarize(metrics: dict[str, Any]) -> tuple[str, str, str]:
    """Return three sentences on the contents of ``metrics.json``: the result, its trust, and what to look at."""
    data = metrics["data"]
    result = (
        f"The counts of {data['cells']:,} cells were replaced by expected molecules; nothing was trained on "
        "them."
    )
    trust = (
        f"On {data['held_out_molecules']:,} held-out molecules of {data['scored_cells']:,} cells: "
        f"{score_clause(metrics, '-nats')}; lower is better."
    )
    look = (
        "Look at the table and the calibration: points on the line mean that expected values are correct on "
        "average."
    )
    return result, trust, look
