"""Human transcription factors: a list that ships with the package; see `data/README.md`.

`build_transcription_factors.py` makes it.
"""

from functools import cache
from importlib import resources

import pandas as pd

FILE = "transcription-factors.csv"


@cache
def transcription_factors() -> frozenset[str]:
    """Return the Ensembl ids of the human transcription factors of JASPAR 2026 and Reactome."""
    with resources.files("sc_mamba2.genes").joinpath("data", FILE).open() as file:
        return frozenset(pd.read_csv(file, dtype=str)["ensembl_id"])
