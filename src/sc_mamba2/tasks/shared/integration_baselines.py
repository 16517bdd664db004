"""Baseline embeddings of cells in the standard form, for all tasks that embed cells."""

from typing import Any

import numpy as np
from anndata import AnnData

from sc_mamba2.cells.keys import COUNTS_LAYER
from sc_mamba2.methods.integration import integration_baselines
from sc_mamba2.metrics.groups import Groups, group_codes


def baseline_embeddings(
    cells: AnnData, batches: Groups | None, **settings: Any
) -> dict[str, np.ndarray]:
    """Embed cells in the standard form by `integration_baselines`, which documents the settings.

    Parameters
    ----------
    cells
        N cells, with counts if available. Not changed.
    batches
        (N,) batch of each cell, none missing; or ``None``.
    """
    codes = None if batches is None else group_codes(batches)
    return integration_baselines(cells.X, cells.layers.get(COUNTS_LAYER), codes, **settings)
