"""Imputation of genes missing from the file by the pretrained model, tested on hidden genes.

Legend: N cells, G genes of the file, F imputed genes, J genes of the file that the model knows.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from scipy.stats import spearmanr

from sc_mamba2.errors import UserError, nearest
from sc_mamba2.genes import GeneTable, load_gene_table, map_genes
from sc_mamba2.methods.gene_priors import CELL_TOTAL
from sc_mamba2.model import PretrainedModel
from sc_mamba2.tasks.denoising.params import OutputParams, PriorParams
from sc_mamba2.tasks.denoising.pretrained import count_tokens, read_molecule_model, read_molecules
from sc_mamba2.tasks.shared.gene_names import read_names
from sc_mamba2.tasks.shared.params import IngestionParams
from sc_mamba2.tasks.shared.progress import training_progress
from sc_mamba2.tokens import reading_order
from sc_mamba2.training import ComputeOptions, choose_device

_BATCH = 32
# For the test on hidden genes: share of hidden genes, and number of cells.
_HIDDEN_SHARE, _MAX_CELLS = 0.1, 500
_EXPRESSED = 1.0  # molecules per 10,000: below, counts of single cells carry almost no information


@dataclass(frozen=True, eq=False)
class ImputedGenes:
    """Imputed genes by the user's names, and their test on hidden genes; empty if none are requested.

    Attributes
    ----------
    values_NF
        float32, expected molecules per 10,000 of the genes of the file.
    judged
        ``hidden_genes``, ``level`` (rank correlation of their mean measured and imputed values),
        ``expressed_genes`` and ``cells`` (median over these of the correlation over cells).
    """

    names: tuple[str, ...]
    values_NF: np.ndarray
    judged: dict[str, float]


def impute(
    counts_NG: sparse.csr_matrix,
    genes_G: np.ndarray,
    output: OutputParams,
    priors: PriorParams,
    ingestion: IngestionParams,
    compute: ComputeOptions,
) -> ImputedGenes:
    """Predict the named genes in every cell, and test the imputation on hidden genes of the file.

    With z the model's logits of a cell: ``10,000 exp(z_f) / sum_j exp(z_j)``, j over the genes of the file.

    Raises
    ------
    UserError
        As `read_imputable`.
    """
    if output.imputed_genes is None:
        return ImputedGenes((), np.zeros((counts_NG.shape[0], 0), dtype=np.float32), {})
    model = read_molecule_model(priors.checkpoint).to(choose_device(compute.device))
    table = load_gene_table(ingestion.gene_table)
    names, ids_F = read_imputable(output.imputed_genes, genes_G, model, table)
    values_NF = CELL_TOTAL * _rates(model, counts_NG, genes_G, ids_F)
    return ImputedGenes(names, values_NF, judge_imputed(model, counts_NG, genes_G, compute.seed))


def judge_imputed(
    model: PretrainedModel, counts_NG: sparse.csr_matrix, genes_G: np.ndarray, seed: int
) -> dict[str, float]:
    """Hide a tenth of the genes, impute them from the others, and compare with their counts."""
    chance = np.random.default_rng(seed)
    known = np.flatnonzero(model.tokenizer.vocabulary.rows_of(genes_G) >= 0)
    hidden = chance.choice(known, max(1, int(_HIDDEN_SHARE * len(known))), replace=False)
    kept = np.setdiff1d(np.arange(len(genes_G)), hidden)
    cells = chance.permutation(counts_NG.shape[0])[:_MAX_CELLS]
    some_NG = counts_NG[np.sort(cells)]
    rates_NF = _rates(model, some_NG[:, kept], genes_G[kept], genes_G[hidden])
    totals_N1 = np.asarray(some_NG[:, np.intersect1d(kept, known)].sum(axis=1)).clip(min=1)
    found_NF = some_NG[:, hidden].toarray() / totals_N1
    means_F = found_NF.mean(axis=0)
    seen_F = means_F > 0
    judged = {"hidden_genes": float(len(hidden))}
    if seen_F.sum() > 2:  # too few for a rank correlation otherwise
        judged["level"] = float(spearmanr(rates_NF.mean(axis=0)[seen_F], means_F[seen_F])[0])
    counts = [
        np.corrcoef(*np.log1p(CELL_TOTAL * pair_2N))[0, 1]
        for pair_2N in np.stack([rates_NF, found_NF])[
            :, :, means_F >= _EXPRESSED / CELL_TOTAL
        ].transpose(2, 0, 1)
        if pair_2N.std(axis=1).min() > 0
    ]
    judged["expressed_genes"] = float(len(counts))
    return judged | ({"cells": float(np.median(counts))} if counts else {})


def _rates(
    model: PretrainedModel, counts_NG: sparse.csr_matrix, genes_G: np.ndarray, ids_F: np.ndarray
) -> np.ndarray:
    """Return rates relative to the sum over the file's genes, (N, F) float32."""
    rows_G, rows_F = (model.tokenizer.vocabulary.rows_of(ids) for ids in (genes_G, ids_F))
    rows_J = torch.from_numpy(rows_G[rows_G >= 0])
    tokens = count_tokens(model, counts_NG, genes_G)
    rates_NF = np.zeros((counts_NG.shape[0], len(ids_F)), dtype=np.float32)
    batches = list(reading_order(tokens.lengths, _BATCH))
    with training_progress("imputing genes", unit="batch") as on_step:
        for at, cells in enumerate(batches, start=1):
            logits_BV = read_molecules(model, tokens, cells).logits_BV
            of_file_B1 = logits_BV[:, rows_J].logsumexp(1, keepdim=True)
            rates_NF[cells] = (
                (logits_BV[:, torch.from_numpy(rows_F)] - of_file_B1).exp().cpu().numpy()
            )
            on_step(at, len(batches))
    return rates_NF


def read_imputable(
    given: str, genes_G: np.ndarray, model: PretrainedModel, table: GeneTable
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return names and ids of the requested genes, which the model must know and the file must lack.

    Raises
    ------
    UserError
        ``impute-genes``: a gene unknown to the model, or present in the file; ``genes-file``.
    """
    names = tuple(dict.fromkeys(read_names(given, "genes-file", "--impute")))
    ids_F = map_genes(names, table).ensembl_ids.astype(str)
    unknown = np.flatnonzero(model.tokenizer.vocabulary.rows_of(ids_F) < 0)
    if len(unknown):
        raise UserError(
            "impute-genes",
            found=f"{len(unknown)} genes that the model does not know: "
            + ", ".join(names[at] for at in unknown[:5]),
            expected="symbols or Ensembl ids of genes of its vocabulary",
            mend="correct --impute" + nearest(names[unknown[0]], table.symbols),
        )
    measured = np.flatnonzero(np.isin(ids_F, genes_G))
    if len(measured):
        raise UserError(
            "impute-genes",
            found=f"{len(measured)} genes that the file has: "
            + ", ".join(names[at] for at in measured[:5]),
            expected="genes that were not measured; the others are denoised from their own counts",
            mend="remove them from --impute, or give them with --genes",
        )
    return names, ids_F
