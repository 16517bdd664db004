"""SC-MAMBA2: a bidirectional Mamba2 model of the whole transcriptome.

The package is lazy: importing it loads nothing heavy. The map of the rooms stands in the README.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sc_mamba2.model import PretrainedModel

__version__ = "0.1.0"


def from_pretrained(folder: str | Path) -> "PretrainedModel":
    """Load a pretrained model by name ("scm-tiny") or from its checkpoint folder.

    See `PretrainedModel.from_pretrained`.
    """
    from sc_mamba2.model import PretrainedModel

    return PretrainedModel.from_pretrained(folder)
