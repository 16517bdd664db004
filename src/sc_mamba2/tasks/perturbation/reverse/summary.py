"""What a reader sees first of a ranking: what came out, how far to trust it, what to look at."""

from typing import Any

from sc_mamba2.reporting import score_clause

HARDLY = 0.2  # cosine below which the first candidate is little better than chance


def summarize(metrics: dict[str, Any]) -> tuple[str, str, str]:
    """Return three sentences on the contents of ``metrics.json``: the result, its trust, and what to look at."""
    data = metrics["data"]
    result = (
        f"To shift cells from '{data['source']}' ({data['source_cells']:,} cells) to '{data['target']}' "
        f"({data['target_cells']:,} cells), {data['first']['perturbation']} ranks first of {data['candidates']:,} "
        "candidates; nothing was trained."
    )
    trust = (
        f"On {len(data['known']):,} states of the file with a known answer: {score_clause(metrics, 'mrr')}"
        if metrics["model"]
        else "No state of the file has a known answer, so the ranking cannot be scored on these cells"
    )
    if metrics["model"] and any(one["learnt"] for one in data["known"]):
        trust += ", which is TOO OPTIMISTIC, since the checkpoint was trained on such cells"
    if data["first"]["cosine"] < HARDLY:
        trust += "; NO candidate explains this target well"
    look = "Look at the first few candidates, not only the first, and at the genes that drive them."
    return result, f"{trust}.", look
