"""`tl.network`: which genes regulate which, by knock-outs in silico and by embeddings."""

from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pandas as pd
from anndata import AnnData

from sc_mamba2.cells import keys
from sc_mamba2.cells.adding import WORD, readable_cells
from sc_mamba2.pipelines.in_memory import run_in_memory
from sc_mamba2.tl.shared import Changes, changes, returned


def network(
    adata: AnnData,
    genes: Sequence[str] | None = None,
    *,
    reference_network: str | Path | None = None,
    checkpoint: str | Path | None = None,
    layer: str | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    seed: int | None = None,
    params: Changes | None = None,
    key_added: str = WORD,
    copy: bool = False,
) -> AnnData | None:
    """Score which genes regulate which, without training; as `scm network`.

    Parameters
    ----------
    adata
        Cells to look at.
    genes
        Regulators, by symbol or Ensembl id; else those of the reference network, or well-known ones.
    reference_network
        File of known edges, from which regulators are taken.
    checkpoint
        Name of a shipped checkpoint, or a folder.
    layer, batch_size, device, seed, params, key_added, copy
        As `tl.embed`.

    Returns
    -------
    AnnData or None
        The copy, if one was asked for. Added: ``uns["scm_edges"]``, a line an edge, the best first, and
        ``uns["scm_modules"]``, a line a gene of the best edges.

    Raises
    ------
    UserError
        Everything that the verb refuses; nothing is added then.

    Examples
    --------
    >>> import sc_mamba2 as scm
    >>> from sc_mamba2.cells import simulate_cells
    >>> cells = simulate_cells(cells=20)
    >>> few = {"gene_network.genes.most_regulators": 2, "gene_network.genes.targets": 10}
    >>> few["gene_network.scoring.cells_a_regulator"] = 3
    >>> scm.tl.network(cells, params=few)
    >>> list(cells.uns["scm_edges"].columns[:2])
    ['source', 'target']
    """
    own = {
        "gene_network.genes.regulators": None if genes is None else ",".join(genes),
        "gene_network.reference.reference_network": (
            None if reference_network is None else str(reference_network)
        ),
        "gene_network.scoring.checkpoint": None if checkpoint is None else str(checkpoint),
        "gene_network.scoring.batch_size": batch_size,
    }
    unscored = {"gene_network.baselines.untrained": False} | dict(params or {})
    asked = changes(own, layer, device, seed, unscored)
    given = {"reference.raw_cells": readable_cells(adata)}
    wanted = ("gene_network.edges", "gene_network.modules")
    told = run_in_memory("gene_network", wanted, given, asked, "tl.network")
    edges, modules = (pd.read_csv(StringIO(told[name])) for name in wanted)
    results = AnnData(obs=adata.obs[[]], uns={keys.EDGES: edges, keys.MODULES: modules})
    return returned(adata, results, key_added, copy)
