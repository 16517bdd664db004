"""Simulated cells with two modalities, for tests, dry runs and size measurements, without real biology.

Three types in two batches; each type has a tenth of the features of each modality raised fivefold.
"""

from collections.abc import Callable

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from sc_mamba2.cells.simulate import TYPES, simulated_genes, simulated_table

PEAK_WIDTH = 500
PEAK_STEP = 20_000  # bases from one peak to the next
_CHROMOSOME = 45_000_000  # shorter than any of hg19 and hg38
PROTEINS = ("CD3", "CD4", "CD8", "CD14", "CD16", "CD19", "CD56", "CD127", "CD45RA", "PD-1")


def simulate_rna_atac(
    cells: int = 150,
    genes: int = 200,
    peaks: int = 300,
    genes_a_cell: int = 80,
    peaks_a_cell: int = 60,
    seed: int = 0,
) -> dict[str, ad.AnnData]:
    """Simulate RNA and ATAC of the same cells.

    A cell draws transcripts and fragments with replacement from its type's mean profile; both have
    slightly more draws than the resulting features, and a depth of their own (lognormal, 0.3).

    Parameters
    ----------
    cells, genes, peaks
        Shapes.
    genes_a_cell, peaks_a_cell
        Approximate number of non-zero features per cell.
    seed
        Seed of everything.

    Returns
    -------
    dict
        ``rna`` (Ensembl ids of protein-coding genes) and ``atac`` (peaks of 500 bases as
        ``chr1:100-600``): counts, float32 CSR; ``obs`` has ``cell_type`` and ``batch``.
    """
    generator = np.random.default_rng(seed)
    obs, kinds = _cells(generator, cells)
    rna = _draw(generator, kinds, genes, genes_a_cell)
    atac = _draw(generator, kinds, peaks, peaks_a_cell)
    return {
        "rna": ad.AnnData(X=rna, obs=obs, var=simulated_genes(genes)),
        "atac": ad.AnnData(X=atac, obs=obs[[]], var=pd.DataFrame(index=_peaks(peaks))),
    }


def simulate_rna_protein(
    cells: int = 150, genes: int = 200, seed: int = 0
) -> dict[str, ad.AnnData]:
    """Simulate RNA and ten surface proteins of the same cells.

    A protein's mean is 3 (background), or 60 in types that carry it, lognormal by 0.4 per cell.

    Returns
    -------
    dict
        ``rna`` and ``protein``, counts, float32 CSR; ``obs`` has ``cell_type`` and ``batch``.
    """
    generator = np.random.default_rng(seed)
    obs, kinds = _cells(generator, cells)
    rna = _draw(generator, kinds, genes, min(genes, 80))
    carried = generator.random((len(TYPES), len(PROTEINS))) < 0.4
    carried[np.arange(len(PROTEINS)) % len(TYPES), np.arange(len(PROTEINS))] = True
    means = np.where(carried[kinds], 60, 3) * generator.lognormal(0, 0.4, (cells, 1))
    proteins = sparse.csr_matrix(generator.poisson(means).astype(np.float32))
    var = pd.DataFrame(index=list(PROTEINS))
    return {
        "rna": ad.AnnData(X=rna, obs=obs, var=simulated_genes(genes)),
        "protein": ad.AnnData(X=proteins, obs=obs[[]], var=var),
    }


SIMULATED_PAIRS: dict[str, Callable[[], dict[str, ad.AnnData]]] = {
    "simulated:rna-atac": simulate_rna_atac,
    "simulated:rna-protein": simulate_rna_protein,
}


def _cells(generator: np.random.Generator, cells: int) -> tuple[pd.DataFrame, np.ndarray]:
    kinds = generator.integers(len(TYPES), size=cells)
    second = generator.random(cells) >= 0.5
    return simulated_table(second, cell_type=np.asarray(TYPES, dtype=object)[kinds]), kinds


def _draw(
    generator: np.random.Generator, kinds: np.ndarray, features: int, a_cell: int
) -> sparse.csr_matrix:
    """Draw counts, cells x features, from the profile of each cell's type."""
    means = generator.gamma(1.0, 1.0, size=features) + 0.05
    raised = np.stack([generator.random(features) < 0.1 for _ in TYPES])
    profiles = np.cumsum(means * np.where(raised, 5, 1), axis=1)
    depths = np.maximum(1, 1.15 * a_cell * generator.lognormal(0, 0.3, len(kinds))).astype(int)
    columns = [
        np.searchsorted(profiles[kind], generator.random(depth) * profiles[kind, -1])
        for kind, depth in zip(kinds, depths, strict=True)
    ]
    pointers = np.concatenate([[0], np.cumsum(depths)])
    ones = np.ones(pointers[-1], dtype=np.float32)
    counts = sparse.csr_matrix((ones, np.concatenate(columns), pointers), (len(kinds), features))
    counts.sum_duplicates()
    return counts


def _peaks(peaks: int) -> list[str]:
    """Space peaks evenly over 22 chromosomes, at most `PEAK_STEP` bases apart."""
    step = min(PEAK_STEP, 22 * _CHROMOSOME // peaks)
    assert step > PEAK_WIDTH, "more peaks than the simulated genome has room for"
    a_chromosome = _CHROMOSOME // step + 1
    places = [divmod(number, a_chromosome) for number in range(peaks)]
    return [f"chr{1 + c}:{10_000 + step * n}-{10_000 + step * n + PEAK_WIDTH}" for c, n in places]
