"""Joint vocabulary and tokens of all modalities, and values back from tokens.

N cells, V rows of the joint vocabulary.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from sc_mamba2.cells.modalities import ATAC, PROTEIN, RNA
from sc_mamba2.genes import Vocabulary
from sc_mamba2.model import read_checkpoint
from sc_mamba2.tasks.multiomics.cells import PART, TRAINING, JointCells, has
from sc_mamba2.tasks.multiomics.params import FeatureParams
from sc_mamba2.tasks.shared.batches import BATCH
from sc_mamba2.tasks.shared.params import BackboneParams, TokenizationParams
from sc_mamba2.tasks.shared.tokenization import choose_genes, source_vocabulary
from sc_mamba2.tokens import (
    KINDS,
    TokenizedCells,
    Tokenizer,
    TokenizerRules,
    as_matrix,
    clr,
    grown_vocabulary,
    inverse_document_frequency,
    join_tokens,
    kinds_of,
    tf_idf,
)


class JointTokenizer(NamedTuple):
    """The joint tokenizer, and the weight of every row of its vocabulary (1 except for peaks).

    `trunk` is the tokenizer that a backbone is loaded or built for: the genes that the checkpoint knows, or
    all genes without one. Its rows are the first of the joint vocabulary. `twins` (T, 2) are the rows of
    proteins and of the genes that code for them, if known.
    """

    joint: Tokenizer
    weight_V: np.ndarray
    trunk: Tokenizer
    twins: np.ndarray


def fit_joint_tokenizer(
    cells: JointCells,
    design: pd.DataFrame,
    params: TokenizationParams,
    backbone: BackboneParams,
) -> JointTokenizer:
    """Choose the genes by the training cells, and give every feature a row.

    Rows are the genes that the checkpoint knows, in its order, then other genes, proteins, and peaks that are
    open in any training cell.
    """
    training = (design[PART] == TRAINING).to_numpy()
    source, pretrained = source_vocabulary(params.vocabulary)
    genes = _choose_genes(cells, design, training, source, params.variable_genes, pretrained)
    if backbone.checkpoint is None:
        trunk = source.subset(genes)
    else:
        known = read_checkpoint(backbone.checkpoint).vocabulary
        trunk = known.subset(
            [g for g, row in zip(genes, known.rows_of(genes), strict=True) if row >= 0]
        )
    symbols = cells.modalities[RNA].var["symbol"]
    new = {gene: str(symbols.get(gene, gene)) for gene in genes if gene not in trunk.ids}
    weights = np.ones(trunk.size + len(new))
    if PROTEIN in cells.modalities:
        var = cells.modalities[PROTEIN].var
        new |= dict(zip(var.index, var["name"], strict=True))
    if ATAC in cells.modalities:
        peaks = cells.modalities[ATAC]
        own = peaks.X[training & cells.present[ATAC].to_numpy()]
        seen = np.flatnonzero(own.getnnz(axis=0))
        new |= {name: name.partition(":")[2] for name in peaks.var_names[seen]}
        before = np.ones(trunk.size + len(new) - len(seen))
        weights = np.concatenate([before, inverse_document_frequency(own[:, seen])])
    rules = TokenizerRules(n_bins=params.n_bins, max_length=params.max_length, order=params.order)
    joint = Tokenizer(grown_vocabulary(trunk, list(new), list(new.values())), rules)
    weight_V = np.ones(joint.vocabulary.size, dtype=np.float32)
    weight_V[: len(weights)] = weights
    return JointTokenizer(joint, weight_V, Tokenizer(trunk, rules), _twins(cells, joint.vocabulary))


def _twins(cells: JointCells, vocabulary: Vocabulary) -> np.ndarray:
    """Return the rows of proteins and of their genes, (T, 2)."""
    if PROTEIN not in cells.modalities:
        return np.zeros((0, 2), dtype=np.int64)
    var = cells.modalities[PROTEIN].var
    rows = np.column_stack([vocabulary.rows_of(var.index), vocabulary.rows_of(var["gene"])])
    return rows[(rows >= 0).all(axis=1)]


def _choose_genes(
    cells: JointCells,
    design: pd.DataFrame,
    training: np.ndarray,
    source: Vocabulary,
    variable_genes: int | None,
    pretrained: bool,
) -> list[str]:
    """Choose the genes that vary within the batches of the training cells."""
    rows = training & cells.present[RNA].to_numpy()
    reference = cells.modalities[RNA][rows].copy()
    reference.obs[BATCH] = design[BATCH].to_numpy()[rows]
    batch_key = BATCH if design[BATCH].nunique() > 1 else None
    return choose_genes(reference, reference, source, variable_genes, batch_key, pretrained)


def tokenize_modalities(
    cells: JointCells,
    design: pd.DataFrame,
    tokenizer: Tokenizer,
    weight_V: np.ndarray,
    features: FeatureParams,
) -> TokenizedCells:
    """Turn cells into one sequence of tokens each: genes, then proteins, then peaks.

    Values are log-normalised RNA, CLR of proteins, TF-IDF (or 1) of peaks; each modality is binned
    separately.
    """
    parts = []
    for kind, part in cells.modalities.items():
        own = tokenizer
        if kind == ATAC:
            longer = tokenizer.rules.model_copy(update={"max_length": features.max_peaks + 1})
            own = Tokenizer(tokenizer.vocabulary, longer)
        values = _values(kind, part, tokenizer.vocabulary, weight_V, features)
        parts.append(own.tokenize(values, part.var_names.to_numpy(), design))
    return join_tokens(parts, design)


def _values(
    kind: str, part: AnnData, vocabulary: Vocabulary, weight_V: np.ndarray, features: FeatureParams
) -> sparse.csr_matrix:
    if kind == PROTEIN:
        counted = bool((part.X.data == np.rint(part.X.data)).all())
        return clr(part.X) if counted else part.X
    if kind == ATAC and features.peak_values == "tf_idf":
        rows = vocabulary.rows_of(part.var_names)
        return tf_idf(part.X, np.where(rows >= 0, weight_V[rows], 0).astype(np.float32))
    return part.X


def modality_values(tokens: TokenizedCells, vocabulary: Vocabulary) -> dict[str, sparse.csr_matrix]:
    """Return the values by modality, N x its features, of modalities in `tokens.obs`."""
    kind_V = kinds_of(vocabulary)
    values_NV = as_matrix(tokens, vocabulary.size)
    kinds = [kind for kind in KINDS[1:] if has(kind) in tokens.obs]
    return {kind: values_NV[:, np.flatnonzero(kind_V == KINDS.index(kind))] for kind in kinds}


def shuffle_modality(
    tokens: TokenizedCells, kind: str, vocabulary: Vocabulary, seed: int
) -> TokenizedCells:
    """Permute a modality among the cells that have it; outputs that do not change do not use it."""
    own = kinds_of(vocabulary)[tokens.gene_rows] == KINDS.index(kind)
    order = np.arange(len(tokens))
    have = np.flatnonzero(tokens.obs[has(kind)].to_numpy(bool))
    order[have] = np.random.default_rng(seed).permutation(have)
    moved = tokens.keep(own).take(order)
    return join_tokens([tokens.keep(~own), moved], tokens.obs)
