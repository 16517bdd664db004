"""What a reader sees first of a predicted perturbation: what came out, how far to trust it, what to look at."""

from typing import Any

from sc_mamba2.reporting import score_clause


def summarize(metrics: dict[str, Any]) -> tuple[str, str, str]:
    """Return three sentences on the contents of ``metrics.json``: the result, its trust, and what to look at."""
    data = metrics["data"]
    predicted = data["predicted"]
    seen = "measured" if predicted["seen"] != "never" else "never measured"
    result = (
        f"The effect of {predicted['perturbation']} ({seen}) was predicted on control cells: "
        f"{predicted['genes_changed']:,} genes change with q < 0.05."
    )
    trust = (
        f"On {len(data['scored']):,} held-out perturbations: {score_clause(metrics, 'pearson_delta')}, with a "
        f"noise ceiling of {data['mean_ceiling']:.2f}"
        if metrics["model"]
        else "Nothing was held out in this run; the report of the training says how well it predicts"
    )
    if predicted["ensemble_spread_over_change"] > 1:
        trust += (
            ", and THIS prediction is smaller than its own uncertainty: treat it as no prediction"
        )
    look = "Look at the genes in the volcano plot first, then at how well held-out perturbations were predicted."
    return result, f"{trust}.", look
