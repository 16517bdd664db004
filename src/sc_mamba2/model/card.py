"""The text of a model card."""

from collections.abc import Mapping
from typing import Any

from sc_mamba2.genes import Vocabulary
from sc_mamba2.model.config import ModelConfig


def card_text(
    title: str, config: ModelConfig, vocabulary: Vocabulary, *facts: Mapping[str, Any]
) -> str:
    """Write the text of `MODEL_CARD.md`: what the model is, then further facts, a line each.

    Parameters
    ----------
    title
        What kind of model it is.
    config, vocabulary
        Of its backbone.
    *facts
        Tables of names and values, ready for JSON; in each the names in alphabetical order.
    """
    lines = [
        f"# {title} of sc-mamba2",
        "",
        f"- backbone: {config.n_layers} layers x {config.d_model}, bidirectional Mamba2",
        f"- vocabulary: {vocabulary.name}, {vocabulary.size:,} rows",
    ]
    for table in facts:
        lines += [f"- {spaced(key)}: {_told(value)}" for key, value in sorted(table.items())]
    return "\n".join(lines) + "\n"


def spaced(key: str) -> str:
    """Return a name as words."""
    return key.replace("_", " ")


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{spaced(key)} {_told(part)}" for key, part in sorted(value.items()))
    if isinstance(value, list):
        return ", ".join(f"`{part}`" for part in value) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
