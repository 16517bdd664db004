"""What a reader sees first of a gene network: what came out, how far to trust it, what to look at."""

from typing import Any

from sc_mamba2.reporting import score_clause


def summarize(metrics: dict[str, Any]) -> tuple[str, str, str]:
    """Return three sentences on the contents of ``metrics.json``: the result, its trust, and what to look at."""
    data = metrics["data"]
    result = (
        f"Edges from {data['regulators']:,} regulators ({data['regulators_from']}) to {data['targets']:,} "
        f"targets were scored in {data['cells']:,} cells; nothing was trained."
    )
    trust = (
        f"On the {data['known_edges']:,} edges that are known: {score_clause(metrics, 'auprc_ratio')}, where 1 is "
        "chance."
        if metrics["model"]
        else "There were no known edges to compare with: an edge means that two genes vary together, not that "
        "one regulates the other."
    )
    look = "Look at the best edges first, above all those on which several methods agree."
    return result, trust, look
