"""`tl.embed`: one vector per cell, and cell types from an index."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from anndata import AnnData

from sc_mamba2.cells.adding import WORD, readable_cells
from sc_mamba2.tasks.embedding.index import ReferenceIndex
from sc_mamba2.tasks.embedding.mapping import map_cells
from sc_mamba2.tasks.embedding.model import load_encoder
from sc_mamba2.tasks.embedding.params import EmbeddingParams, SourceParams
from sc_mamba2.tasks.embedding.predict import encode_file, write_embedded
from sc_mamba2.tasks.shared.parameters import build_parameters
from sc_mamba2.tasks.shared.params import SHARED_GROUPS
from sc_mamba2.tl.shared import Changes, returned, run_facts
from sc_mamba2.tl.tool import tool
from sc_mamba2.training.machine import restored_random_state

GROUPS = SHARED_GROUPS | {"embedding": EmbeddingParams}


@tool("embed")
def embed(
    adata: AnnData,
    *,
    index: str | Path | None = None,
    key_added: str = WORD,
    copy: bool = False,
    options: Changes,
) -> AnnData | None:
    """Embed every cell without training, like `scm embed`.

    Parameters
    ----------
    adata
        N cells.
    index
        Folder of an index made by `scm index`, from which the cells get types.
    options
        Those of the verb.

    Returns
    -------
    AnnData or None
        The copy if `copy` is set. Added: ``obsm["X_scm"]`` (N, D) float32 and ``uns["scm"]``;
        with an index also ``obs["scm_cell_type"]``, ``obs["scm_cell_type_confidence"]``,
        ``obs["scm_distance"]`` and ``obs["scm_unassigned"]``.

    Examples
    --------
    >>> import sc_mamba2 as scm
    >>> from sc_mamba2.cells import simulate_cells
    >>> cells = simulate_cells(cells=12)
    >>> scm.tl.embed(cells)
    >>> cells.obsm["X_scm"].shape
    (12, 64)
    """
    groups = build_parameters(GROUPS, options)
    chosen, compute = groups["embedding"], groups["compute"]
    reference = None if index is None else ReferenceIndex.load(Path(index))
    with restored_random_state(), TemporaryDirectory() as blocks:
        encoder = load_encoder(chosen.options, reference)
        embedded = encode_file(
            encoder,
            # Not validated, since `input` is cells in memory instead of a path.
            SourceParams.model_construct(input=readable_cells(adata), blocks=blocks),
            groups["ingestion"],
            groups["validation"],
            chosen.keys,
            chosen.options,
            compute,
        )
        calls = None if reference is None else map_cells(embedded, reference, chosen.mapping)
        facts = run_facts("tl.embed", groups)
        written = write_embedded(embedded, encoder, chosen.options, facts, calls)
        vectors = {name: np.concatenate(list(rows)) for name, rows in written.obsm.items()}
    results = AnnData(obs=written.obs, obsm=vectors, uns=written.uns)
    return returned(adata, results, key_added, copy)
