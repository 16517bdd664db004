"""The verdict in words: how the model compares with the best baseline, by one score or by all."""

from typing import Any

# In the order of weight; a minus before those of which less is better.
_WORDS = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "balanced_accuracy": "balanced accuracy",
    "knn_accuracy": "accuracy of the neighbours' votes",
    "transfer_accuracy": "accuracy of the transfer",
    "avg_bio": "types kept (AvgBIO)",
    "avg_batch": "batches mixed (AvgBATCH)",
    "asw_batch": "batches mixed (ASW)",
    "pearson_delta": "Pearson delta",
    "pearson_delta_top": "Pearson delta of the genes that change most",
    "discrimination": "discrimination",
    "-mse": "squared error",
    "mrr": "mean reciprocal rank",
    "hits@1": "ranked first",
    "auprc_ratio": "AUPRC ratio",
    "early_precision_ratio": "early precision",
    "pearson_rna": "correlation of predicted RNA",
    "pearson_protein": "correlation of predicted proteins",
    "pearson_atac": "correlation of predicted peaks",
    "-nats": "nats per held-out molecule",
    "-foscttm": "cells nearer than the cell itself (FOSCTTM)",
    "-own_posterior": "nats per molecule of held-out studies",
}
COMPARED = tuple(signed.removeprefix("-") for signed in _WORDS)
_BRIEFLY = {"best": "better than", "tied": "no better or worse than", "below": "WORSE than"}
_NAMED = 8  # types
_SAME = 5e-4  # equal as shown, to three decimals


def baseline_sentences(metrics: dict[str, Any]) -> list[str]:
    """Return in words by which scores the model is above, equal to or below the best baseline of each.

    A difference within ``data.margins``, by score and method, is a tie. Empty without baselines.

    Parameters
    ----------
    metrics
        The contents of ``metrics.json``.
    """
    phrases: dict[str, list[str]] = {"best": [], "tied": [], "below": []}
    for signed, words in _WORDS.items():
        if standing := _standing(metrics, signed):
            how, name, other, noise = standing
            own = metrics["model"][signed.removeprefix("-")]
            phrases[how].append(f"{words} ({own:.3f}, {name} {other:.3f}{noise})")
    starts = {
        "best": "best by ",
        "tied": "no better or worse than the best baseline by ",
        "below": "BELOW the best baseline by ",
    }
    parts = [starts[how] + ", ".join(found) for how, found in phrases.items() if found]
    return [f"The model is {'; '.join(parts)}."] if parts else []


def score_clause(metrics: dict[str, Any], *scores: str) -> str:
    """Return in one clause the model's first available score, compared with the best baseline.

    Parameters
    ----------
    metrics
        The contents of ``metrics.json``.
    scores
        Names, prefixed by a minus if lower is better; the text is empty if the model has none of them.
    """
    for signed in scores:
        own = metrics["model"].get(signed.removeprefix("-"))
        if own is None:
            continue
        reached = f"{_WORDS[signed]} {own:.3f}"
        if not (standing := _standing(metrics, signed)):
            return f"{reached}, with no baseline to compare"
        how, name, other, _ = standing
        return f"{reached}, {_BRIEFLY[how]} the best baseline ({name} {other:.3f})"
    return ""


def _standing(metrics: dict[str, Any], signed: str) -> tuple[str, str, float, str] | None:
    """Return how the model compares by a score, the best baseline, its score, and the noise in words."""
    score, sign = signed.removeprefix("-"), -1 if signed.startswith("-") else 1
    others = {
        name: scores[score]
        for name, scores in metrics.get("baselines", {}).items()
        if scores.get(score) is not None
    }
    own = metrics["model"].get(score)
    if own is None or not others:
        return None
    name = max(others, key=lambda other: sign * others[other])
    margin = metrics.get("data", {}).get("margins", {}).get(score, {}).get(name, 0)
    gain = sign * (own - others[name])
    if abs(gain) <= max(margin, _SAME):
        noise = f", within noise of {margin:.3f}" if margin > _SAME else ""
        return "tied", name, others[name], noise
    return "best" if gain > 0 else "below", name, others[name], ""


def counted_calls(called: dict[str, int], unassigned: float) -> str:
    """Return in words how many cells have each of the most common types, and the share that has none."""
    named = [f"{count:,} {name}" for name, count in list(called.items())[:_NAMED]]
    if more := len(called) - len(named):
        named.append(f"{more:,} other{'s' * (more > 1)}")
    types = f": {', '.join(named)}" if named else ""
    if not unassigned:
        return f"{types}."
    why = "too uncertain, or too far from every type"
    return f"{types}; the others ({unassigned:.1%}) are left unassigned: {why}."


def unshared_words(labels: list[str], known: str) -> str:
    """Return the message that none of the labels (of which some are named) is a type of `known`."""
    return (
        f"None of the query's labels ({', '.join(labels)}, …) is a type of {known}, so nothing can "
        "be scored: the column holds something else, or the types are named differently."
    )
