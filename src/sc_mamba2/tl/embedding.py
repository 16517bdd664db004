"""`tl.embed`: a vector a cell, and types from an index."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from anndata import AnnData

from sc_mamba2.cells.adding import WORD, readable_cells
from sc_mamba2.datasets.index import ReferenceIndex
from sc_mamba2.pipelines.in_memory import run_in_memory
from sc_mamba2.tasks.embedding.params import SourceParams
from sc_mamba2.tl.shared import Changes, changes, returned


def embed(
    adata: AnnData,
    *,
    index: str | Path | None = None,
    checkpoint: str | Path | None = None,
    layer: str | None = None,
    max_length: int | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    seed: int | None = None,
    params: Changes | None = None,
    key_added: str = WORD,
    copy: bool = False,
) -> AnnData | None:
    """Give every cell a vector, without training; as `scm embed`.

    Parameters
    ----------
    adata
        N cells.
    index
        Folder of an index that `scm index` made; its types are given to the cells.
    checkpoint
        Name of a shipped checkpoint, or a folder.
    layer
        Layer with the expression; else the first usable matrix.
    max_length
        Tokens a cell at most; the highest values are kept.
    batch_size
        Cells a batch when predicting; changes speed only.
    device
        ``auto``, ``cpu`` or ``cuda``.
    seed
        Seed of every source of chance.
    params
        More parameters of `conf/base/parameters`, by dotted name; they count over the other arguments.
    key_added
        Word that stands for ``scm`` in the names of what is added.
    copy
        Whether a copy gets the results and is returned.

    Returns
    -------
    AnnData or None
        The copy, if one was asked for. Added: ``obsm["X_scm"]`` (N, D) float32 and ``uns["scm"]``;
        with an index also ``obs["scm_cell_type"]``, ``obs["scm_cell_type_confidence"]``,
        ``obs["scm_distance"]`` and ``obs["scm_unassigned"]``.

    Raises
    ------
    UserError
        Everything that the verb refuses; nothing is added then.

    Examples
    --------
    >>> import sc_mamba2 as scm
    >>> from sc_mamba2.cells import simulate_cells
    >>> cells = simulate_cells(cells=12)
    >>> scm.tl.embed(cells)
    >>> cells.obsm["X_scm"].shape
    (12, 128)
    """
    own = {
        "embedding.options.checkpoint": None if checkpoint is None else str(checkpoint),
        "embedding.options.max_length": max_length,
        "embedding.options.batch_size": batch_size,
    }
    asked = changes(own, layer, device, seed, params)
    cells = readable_cells(adata)
    with TemporaryDirectory() as blocks:
        # Not validated: cells in memory take the place of a file's name.
        source = SourceParams.model_construct(input=cells, blocks=blocks)
        given: dict[str, Any] = {"params:embedding.source": source}
        if index is not None:
            given["embedding.reference"] = ReferenceIndex.load(Path(index))
        name = "embedding" if index is None else "embedding_mapping"
        told = run_in_memory(name, ("embedding.embedded",), given, asked, "tl.embed")
        found = told["embedding.embedded"]
        vectors = {key: np.concatenate(list(blocks)) for key, blocks in found.obsm.items()}
    results = AnnData(obs=found.obs, obsm=vectors, uns=found.uns)
    return returned(adata, results, key_added, copy)
