"""What a reader sees first of an annotation: what came out, how far to trust it, what to look at."""

from typing import Any

from sc_mamba2.reporting import counted_calls, score_clause


def summarize(metrics: dict[str, Any]) -> tuple[str, str, str]:
    """Return three sentences on the contents of ``metrics.json``: the result, its trust, and what to look at."""
    data, called = metrics["data"], metrics["data"]["called"]
    result = (
        f"{sum(called.values()):,} of {data['query_cells']:,} cells were assigned to the {data['classes']:,} "
        f"types of the reference{counted_calls(called, metrics['model']['unassigned_share'])}"
    )
    trust = (
        f"On the {data['scored_cells']:,} cells whose true type is known: {score_clause(metrics, 'accuracy')}"
        if "accuracy" in metrics["model"]
        else "The true types of these cells are unknown, so nobody can say here how many calls are correct: "
        "trust a confidence only as far as these cells resemble the reference"
    )
    if alarms := len(data.get("alarms", ())):
        trust += f", and there {'is a warning' if alarms == 1 else f'are {alarms} warnings'} below"
    look = "Look at the map of the cells first, and question the calls where confidence is low or types overlap."
    return result, f"{trust}.", look
