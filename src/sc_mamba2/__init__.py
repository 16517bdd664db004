"""SC-MAMBA2: a bidirectional Mamba2 model of the whole transcriptome.

The package is lazy: importing it loads nothing heavy. The map of the rooms stands in the README.
"""

import importlib
from pathlib import Path
from typing import Any

__version__ = "0.1.0"
__all__ = ["Model", "Tokenizer", "__version__", "from_pretrained", "pl", "pp", "tl"]


def from_pretrained(folder: str | Path) -> Any:
    """Load a pretrained model by name ("scm-tiny") or from its checkpoint folder.

    See `PretrainedModel.from_pretrained`.

    Examples
    --------
    >>> import sc_mamba2 as scm
    >>> model = scm.from_pretrained("scm-tiny")
    >>> model.backbone.config.d_model
    128
    """
    from sc_mamba2.model import PretrainedModel

    return PretrainedModel.from_pretrained(folder)


def __getattr__(name: str) -> Any:
    """Import the Python API when it is first asked for."""
    if name in ("pl", "pp", "tl"):
        return importlib.import_module(f"sc_mamba2.{name}")
    if name == "Model":
        return importlib.import_module("sc_mamba2.estimator").Model
    if name == "Tokenizer":
        return importlib.import_module("sc_mamba2.pp").Tokenizer
    raise AttributeError(f"module 'sc_mamba2' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
