"""Simulated cells for tests and dry runs: counts of named types, each with its own marker genes."""

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from sc_mamba2.genes import load_gene_table

TYPES = ("alpha", "beta", "gamma")


def simulate_cells(cells: int = 150, genes: int = 200, seed: int = 0) -> ad.AnnData:
    """Simulate counts of three types in two batches.

    A gene's mean count is drawn from a gamma distribution (shape 0.5, mean 0.6); in each type one
    tenth of the genes is raised five times; a cell's depth varies lognormally by 0.3; counts are
    Poisson.

    Parameters
    ----------
    cells, genes
        Shape of the matrix.
    seed
        Seed of everything.

    Returns
    -------
    AnnData
        Counts (float32 CSR), real Ensembl ids of protein-coding genes, ``obs["cell_type"]`` and
        ``obs["batch"]``.
    """
    generator = np.random.default_rng(seed)
    table = load_gene_table()
    coding = np.flatnonzero(np.asarray(table.biotypes) == "protein_coding")[:genes]
    kinds = generator.integers(len(TYPES), size=cells)
    means = generator.gamma(0.5, 1.2, size=genes)
    raised = np.stack([generator.random(genes) < 0.1 for _ in TYPES])
    depth = generator.lognormal(0, 0.3, size=(cells, 1))
    counts = generator.poisson(depth * means * np.where(raised[kinds], 5, 1))
    return ad.AnnData(
        X=sparse.csr_matrix(counts.astype(np.float32)),
        obs=pd.DataFrame(
            {
                "cell_type": pd.Categorical(np.asarray(TYPES)[kinds]),
                "batch": pd.Categorical(np.where(generator.random(cells) < 0.5, "first", "second")),
            },
            index=[f"cell_{number}" for number in range(cells)],
        ),
        var=pd.DataFrame(
            {"symbol": np.asarray(table.symbols, dtype=object)[coding]},
            index=np.asarray(table.ids, dtype=object)[coding].astype(str),
        ),
    )
