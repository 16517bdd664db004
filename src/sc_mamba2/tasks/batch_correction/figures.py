"""The pictures of a batch correction: cells before and after, by batch and by type; the training."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sc_mamba2.reporting import lay_out, losses_apart


def before_and_after(
    before_ND: np.ndarray, after_NE: np.ndarray, cells: pd.Index, seed: int
) -> dict[str, pd.DataFrame]:
    """Lay the cells out by UMAP, of the embedding before and of the corrected one."""
    return {
        "before: principal components": lay_out(_table(before_ND, cells), seed),
        "after: corrected embedding": lay_out(_table(after_NE, cells), seed),
    }


def _table(embedding: np.ndarray, cells: pd.Index) -> pd.DataFrame:
    return pd.DataFrame(embedding, index=cells)


def training_figure(history: pd.DataFrame) -> Figure:
    """Draw both losses over the epochs."""
    titles = (
        "training: reconstruction + adversary",
        "validation: reconstruction + batch in neighbours",
    )
    return losses_apart(history, titles)
