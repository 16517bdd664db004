"""SC-MAMBA2: a bidirectional Mamba2 model of the whole transcriptome.

Imports are lazy: importing the package loads nothing heavy. The README has a map of the subpackages.
"""

import importlib
from pathlib import Path
from typing import Any

__version__ = "0.1.0"
__all__ = ["Model", "Tokenizer", "__version__", "from_pretrained", "pl", "pp", "tl"]


def from_pretrained(folder: str | Path, *, download: bool = False) -> Any:
    """Load a pretrained model, with a tokenizer that reads an AnnData.

    Parameters
    ----------
    folder
        Name of a shipped model ("scm-tiny"), a checkpoint folder, or a downloaded model of the Hugging
        Face Hub: "owner/name" or "owner/name@revision". A folder of that name takes precedence.
    download
        Whether to download a Hub model now. Otherwise the network is never used.

    Returns
    -------
    PretrainedModel
        See `PretrainedModel.from_pretrained`.

    Raises
    ------
    UserError
        See `PretrainedModel.from_pretrained` and, for downloads, `sc_mamba2.model.download`.

    Examples
    --------
    >>> import sc_mamba2 as scm
    >>> model = scm.from_pretrained("scm-tiny")
    >>> model.config.d_model
    128
    """
    from sc_mamba2.model import PretrainedModel, download as fetch, shipped_checkpoints

    if download and str(folder) not in shipped_checkpoints() and not Path(folder).is_dir():
        folder = fetch(str(folder))
    model = PretrainedModel.from_pretrained(folder)
    model.tokenizer = __getattr__("Tokenizer").of(model)
    return model


def __getattr__(name: str) -> Any:
    """Import a part of the Python API on first access."""
    if name in ("pl", "pp", "tl"):
        return importlib.import_module(f"sc_mamba2.{name}")
    if name == "Model":
        return importlib.import_module("sc_mamba2.estimator").Model
    if name == "Tokenizer":
        return importlib.import_module("sc_mamba2.pp").Tokenizer
    raise AttributeError(f"module 'sc_mamba2' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
