"""Simple embeddings of cells in the standard form, as every task that embeds cells compares with them."""

import numpy as np
from anndata import AnnData

from sc_mamba2.cells.keys import COUNTS_LAYER
from sc_mamba2.errors import UserError
from sc_mamba2.methods.integration import integration_baselines
from sc_mamba2.metrics.groups import MISSING, Groups, group_codes


def baseline_embeddings(
    cells: AnnData,
    batches: Groups | None,
    *,
    genes: int = 2000,
    components: int = 30,
    within_batches: bool = False,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Embed cells by the methods of `integration_baselines`.

    Parameters
    ----------
    cells
        N cells in the standard form, with counts where there are any. Not changed.
    batches
        (N,) batch of each cell, or ``None``.
    genes, components, within_batches, seed
        See `integration_baselines`.

    Raises
    ------
    UserError
        Rule ``batch-incomplete``: some cells have a batch and others have none.
    """
    codes = None if batches is None else group_codes(batches)
    missing = 0 if codes is None else int((codes == MISSING).sum())
    if missing:
        raise UserError(
            "batch-incomplete",
            found=f"{missing:,} of {cells.n_obs:,} cells without a batch",
            expected="a batch for every cell",
            mend="fill the column, or leave those cells out",
        )
    return integration_baselines(
        cells.X,
        cells.layers.get(COUNTS_LAYER),
        codes,
        genes=genes,
        components=components,
        within_batches=within_batches,
        seed=seed,
    )
