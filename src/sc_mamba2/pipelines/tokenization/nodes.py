"""Nodes of tokenization: fit a tokenizer to a reference, turn cells into tokens."""

from collections.abc import Iterable
from pathlib import Path

from anndata import AnnData

from sc_mamba2.genes import Vocabulary, load_vocabulary
from sc_mamba2.model import read_checkpoint, shipped_checkpoints
from sc_mamba2.pipelines.tokenization.genes import choose_genes
from sc_mamba2.pipelines.tokenization.params import TokenizationParams
from sc_mamba2.tokens import TokenizedCells, Tokenizer, TokenizerRules


def fit_tokenizer(
    reference_cells: AnnData,
    query_cells: AnnData,
    params: TokenizationParams,
    batch_key: str | None = None,
    always: Iterable[str] = (),
) -> Tokenizer:
    """Choose the genes and make the tokenizer of a task.

    Parameters
    ----------
    reference_cells
        Valid cells whose variability chooses the genes.
    query_cells
        Valid cells whose measured genes limit the choice; the reference again where there are none.
    params
        Vocabulary, number of genes, bins, limit of length.
    batch_key
        Column of the reference's obs within whose batches the genes vary, see `choose_genes`.
    always
        Ensembl ids that are kept whatever is measured of them, where the vocabulary knows them.

    Returns
    -------
    Tokenizer
        Its vocabulary is the chosen part of the source vocabulary, in the same order.
    """
    source, pretrained = source_vocabulary(params.vocabulary)
    genes = choose_genes(
        reference_cells, query_cells, source, params.variable_genes, batch_key, pretrained
    )
    wanted = list(always)
    known = source.rows_of(wanted) >= 0
    genes += [ident for ident, there in zip(wanted, known, strict=True) if there]
    rules = TokenizerRules(n_bins=params.n_bins, max_length=params.max_length, order=params.order)
    return Tokenizer(source.subset(genes), rules)


def tokenize_cells(valid_cells: AnnData, tokenizer: Tokenizer) -> TokenizedCells:
    """Turn valid cells into tokens, with their table beside them."""
    return tokenizer.tokenize(valid_cells.X, valid_cells.var_names.to_numpy(), valid_cells.obs)


def source_vocabulary(name: str) -> tuple[Vocabulary, bool]:
    """Return a vocabulary, and whether it is that of a checkpoint."""
    is_checkpoint = name in shipped_checkpoints() or Path(name).is_dir() or "/" in name
    found = read_checkpoint(name).vocabulary if is_checkpoint else load_vocabulary(name)
    return found, is_checkpoint
