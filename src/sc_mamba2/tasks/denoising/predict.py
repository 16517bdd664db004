"""Denoised rates of all cells from all of their counts, added to the cells.

Legend: N cells, K written genes.
"""

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from sc_mamba2.cells import keys
from sc_mamba2.methods.gene_priors import CELL_TOTAL
from sc_mamba2.methods.molecules import Choice, rates_by_block
from sc_mamba2.tasks.denoising.choose import chosen_method
from sc_mamba2.tasks.denoising.genes import Written
from sc_mamba2.tasks.denoising.imputed import ImputedGenes
from sc_mamba2.tasks.denoising.params import OutputParams, PriorParams
from sc_mamba2.tasks.denoising.priors import candidates
from sc_mamba2.tasks.shared.facts import output_facts
from sc_mamba2.tasks.shared.progress import training_progress
from sc_mamba2.training import ComputeOptions


def denoise(
    counts_NG: sparse.csr_matrix,
    genes_G: np.ndarray,
    written: Written,
    choices: dict[str, Choice],
    priors: PriorParams,
    output: OutputParams,
    compute: ComputeOptions,
) -> np.ndarray:
    """Return expected molecules per 10,000, (N, width) float32; NaN for genes that were not read."""
    choice = choices[chosen_method(choices, priors)]
    prior = candidates(priors)[choice.prior].fit(counts_NG, genes_G, compute)
    cells = counts_NG.shape[0]
    denoised = np.full((cells, written.width), np.nan, dtype=np.float32)
    blocks = rates_by_block(prior, choice, counts_NG, np.arange(cells), output.cells_a_block)
    with training_progress("denoising", unit="block") as on_step:
        for at, (rows, rates_BG) in enumerate(blocks, start=1):
            denoised[rows[:, None], written.places_K] = CELL_TOTAL * rates_BG[:, written.genes_K]
            on_step(at, -(-cells // output.cells_a_block))
    return denoised


def write_denoised(
    raw_cells: AnnData,
    denoised: np.ndarray,
    imputed: ImputedGenes,
    written: Written,
    metrics: dict[str, Any],
    validation_report: dict[str, Any],
    run_info: dict[str, Any],
) -> AnnData:
    """Write the result and facts into a copy of the user's cells, see `add_denoised`."""
    cells = raw_cells.copy()
    facts = output_facts(run_info, validation_report)
    add_denoised(cells, denoised, imputed, written, facts, metrics)
    return cells


def add_denoised(
    cells: AnnData,
    denoised: np.ndarray,
    imputed: ImputedGenes,
    written: Written,
    facts: dict[str, Any],
    metrics: dict[str, Any],
) -> None:
    """Add ``layers["scm_denoised"]`` and ``var["scm_denoised"]`` (``obsm`` for named genes) and facts.

    Imputed genes are kept apart from measured ones, in ``obsm["scm_imputed"]``.
    """
    if written.names is None:
        cells.layers[keys.DENOISED] = denoised
        cells.var[keys.DENOISED] = np.isin(np.arange(cells.n_vars), written.places_K)
    else:
        columns = list(written.names)
        cells.obsm[keys.DENOISED] = pd.DataFrame(denoised, cells.obs_names, columns)
    if imputed.names:
        columns = list(imputed.names)
        cells.obsm[keys.IMPUTED] = pd.DataFrame(imputed.values_NF, cells.obs_names, columns)
    of_model: dict[str, Any] = {"nats": metrics["model"]["nats"]}
    if sha256 := metrics["run"].get("checkpoint_sha256"):
        of_model["checkpoint_sha256"] = sha256
    if imputed.names:
        of_model["imputed"] = metrics["data"]["imputed"]
    cells.uns[keys.FACTS] = facts | metrics["data"]["chosen"] | of_model
