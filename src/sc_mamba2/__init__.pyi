from pathlib import Path

from sc_mamba2 import pl as pl, pp as pp, tl as tl
from sc_mamba2.estimator import Model as Model
from sc_mamba2.model import PretrainedModel
from sc_mamba2.pp import Tokenizer as Tokenizer

__version__: str

def from_pretrained(folder: str | Path, *, download: bool = False) -> PretrainedModel: ...
