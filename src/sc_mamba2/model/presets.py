"""Named shapes of a backbone, layers x width."""

from typing import Any

from sc_mamba2.errors import UserError, nearest
from sc_mamba2.model.config import ModelConfig

# What the release's weights follow: no norm in the trunk, batch norm at the input.
_RELEASE: dict[str, Any] = {
    "n_layers": 36,
    "d_model": 1536,
    "norm": "none",
    "final_norm": False,
    "input_norm": "batch",
    "input_norm_eps": 6.1e-5,
}

PRESETS: dict[str, dict[str, Any]] = {
    "micro": {"n_layers": 2, "d_model": 64},
    "tiny": {"n_layers": 4, "d_model": 128},
    "small": {"n_layers": 8, "d_model": 256},
    "base": {"n_layers": 12, "d_model": 512},
    "upstream-625m": _RELEASE,
    # As the paper's figure draws it: layer norm and feed forward after the block.
    "figure": {**_RELEASE, "norm": "layer", "norm_position": "post", "feed_forward": 1536},
}


def preset(name: str, vocabulary_size: int, **overrides: Any) -> ModelConfig:
    """Build the config of a named shape.

    Parameters
    ----------
    name
        A name of `PRESETS`.
    vocabulary_size
        Tokens of the vocabulary, at least 2.
    **overrides
        Fields of `ModelConfig` to set otherwise.

    Raises
    ------
    UserError
        Rule `preset` for an unknown name, `model-config` for a field that is wrong.
    """
    if name not in PRESETS:
        raise UserError(
            "preset",
            found=f"'{name}'",
            expected="one of " + ", ".join(PRESETS),
            mend="name one of these presets" + nearest(name, PRESETS),
        )
    return ModelConfig.build(**{"vocabulary_size": vocabulary_size, **PRESETS[name], **overrides})
