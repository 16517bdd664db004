"""Simulated cells for tests and dry runs: counts of named types with marker genes; perturbed cells.

For perturbed cells the truth is known: which genes each perturbation changes, and by how much.
"""

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from sc_mamba2.genes import load_gene_table

TYPES = ("alpha", "beta", "gamma")
CONTROL = "control"


def simulate_cells(cells: int = 150, genes: int = 200, seed: int = 0) -> ad.AnnData:
    """Simulate counts of three types in two batches.

    A gene's mean count is drawn from a gamma distribution (shape 0.5, mean 0.6); each type has a tenth
    of its genes raised fivefold; a cell's depth varies lognormally by 0.3; counts are Poisson.

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
    kinds = generator.integers(len(TYPES), size=cells)
    means = generator.gamma(0.5, 1.2, size=genes)
    raised = np.stack([generator.random(genes) < 0.1 for _ in TYPES])
    depth = generator.lognormal(0, 0.3, size=(cells, 1))
    counts = generator.poisson(depth * means * np.where(raised[kinds], 5, 1))
    return ad.AnnData(
        X=sparse.csr_matrix(counts.astype(np.float32)),
        obs=simulated_table(
            generator.random(cells) >= 0.5, cell_type=np.asarray(TYPES, dtype=object)[kinds]
        ),
        var=simulated_genes(genes),
    )


def simulate_perturbed(
    cells: int = 40,
    genes: int = 120,
    targets: int = 8,
    pairs: int = 0,
    strength: float = 1.0,
    seed: int = 0,
) -> ad.AnnData:
    """Simulate counts of perturbed and control cells in two batches.

    Means and depth are those of `simulate_cells`. Targets are measured genes in programs of two: both
    change the same fifth of the genes, and each a further tenth of its own, by factors of
    ``exp(strength N(0, 1))``; a target itself falls to a fifth. The factors of a pair multiply.

    Parameters
    ----------
    cells
        Cells per perturbation; the control has four times as many.
    genes, targets, pairs
        Number of genes, of perturbed genes, and of perturbed pairs of them.
    strength
        Standard deviation of the logarithm of a factor, not negative.
    seed
        Seed of everything.

    Returns
    -------
    AnnData
        Counts (float32 CSR), ``obs["perturbation"]`` (symbols, pairs as "A+B", "control"),
        ``obs["batch"]``, and the truth: ``uns["log_factors"]``, targets x genes.
    """
    generator = np.random.default_rng(seed)
    var = simulated_genes(genes)
    chosen = generator.permutation(genes)[:targets]
    names = [str(name) for name in var["symbol"].iloc[chosen]]
    changes_TG = np.zeros((targets, genes))
    for place in range(0, targets, 2):
        common = (generator.random(genes) < 0.2) * generator.normal(0, strength, genes)
        for target in range(place, min(place + 2, targets)):
            own = (generator.random(genes) < 0.1) * generator.normal(0, strength, genes)
            changes_TG[target] = common + own
    changes_TG[np.arange(targets), chosen] = np.log(0.2)
    every_pair = [(i, j) for i in range(targets) for j in range(i + 1, targets)]
    members = [(), *((target,) for target in range(targets))]
    members += [every_pair[at] for at in generator.permutation(len(every_pair))[:pairs]]
    kinds = np.repeat(np.arange(len(members)), [4 * cells] + [cells] * (len(members) - 1))
    sums_KG = np.stack([changes_TG[list(which)].sum(axis=0) for which in members])
    means = generator.gamma(0.5, 1.2, size=genes) + 0.1
    depth = generator.lognormal(0, 0.3, size=(len(kinds), 1))
    second = generator.random(len(kinds)) < 0.5
    shift_G = np.exp(generator.normal(0, 0.2, genes))
    counts = generator.poisson(
        depth * means * np.exp(sums_KG[kinds]) * np.where(second[:, None], shift_G, 1)
    )
    labels = ["+".join(sorted(names[t] for t in which)) or CONTROL for which in members]
    return ad.AnnData(
        X=sparse.csr_matrix(counts.astype(np.float32)),
        obs=simulated_table(second, perturbation=np.asarray(labels, dtype=object)[kinds]),
        var=var,
        uns={"log_factors": pd.DataFrame(changes_TG, names, var.index)},
    )


def simulated_table(second: np.ndarray, **columns: np.ndarray) -> pd.DataFrame:
    """Return the table of N cells; `second` (N,) bool marks the second batch."""
    columns["batch"] = np.where(second, "second", "first")
    named = {name: pd.Categorical(values) for name, values in columns.items()}
    return pd.DataFrame(named, index=[f"cell_{number}" for number in range(len(second))])


def simulated_genes(genes: int) -> pd.DataFrame:
    """Return a table of real genes by Ensembl id, protein-coding ones first."""
    table = load_gene_table()
    others = np.asarray(table.biotypes) != "protein_coding"
    some = np.argsort(others, kind="stable")[:genes]
    symbols = np.asarray(table.symbols, dtype=object)[some]
    return pd.DataFrame({"symbol": symbols}, index=np.asarray(table.ids)[some].astype(str))
