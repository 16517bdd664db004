"""Gene selection, the tokenizer of a task, and tokenized cells."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from anndata import AnnData

from sc_mamba2.errors import UserError
from sc_mamba2.genes import Vocabulary, load_vocabulary
from sc_mamba2.methods.integration import variable_genes as most_variable
from sc_mamba2.model import read_checkpoint, shipped_checkpoints
from sc_mamba2.tasks.shared.params import TokenizationParams
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
        Valid cells whose most variable genes are chosen.
    query_cells
        Valid cells whose measured genes limit the choice; the reference if there is no query.
    params
        Vocabulary, number of genes, bins, maximum length.
    batch_key
        Column of the reference's obs with batches, see `choose_genes`.
    always
        Ensembl ids to keep, even if not measured, if the vocabulary has them.

    Returns
    -------
    Tokenizer
        Its vocabulary is the chosen subset of the source vocabulary, in the same order.
    """
    source, pretrained = source_vocabulary(params.vocabulary)
    genes = choose_genes(
        reference_cells, query_cells, source, params.variable_genes, batch_key, pretrained
    )
    wanted = list(always)
    known = source.rows_of(wanted) >= 0
    genes += [ident for ident, included in zip(wanted, known, strict=True) if included]
    return Tokenizer(source.subset(genes), token_rules(params))


def token_rules(params: TokenizationParams) -> TokenizerRules:
    """Return a task's token rules; with a checkpoint's vocabulary come its bins."""
    rules = TokenizerRules(n_bins=params.n_bins, max_length=params.max_length, order=params.order)
    if not _is_checkpoint(params.vocabulary):
        return rules
    stored = read_checkpoint(params.vocabulary).token_rules()
    return rules.model_copy(update={"bins": stored.bins, "n_bins": stored.n_bins})


def tokenize_cells(
    valid_cells: AnnData, tokenizer: Tokenizer, with_obs: bool = True
) -> TokenizedCells:
    """Tokenize valid cells, with their `obs` table or only their names."""
    obs = valid_cells.obs if with_obs else valid_cells.obs[[]]
    return tokenizer.tokenize(valid_cells.X, valid_cells.var_names.to_numpy(), obs)


def source_vocabulary(name: str) -> tuple[Vocabulary, bool]:
    """Return a vocabulary, and whether it comes from a checkpoint."""
    is_checkpoint = _is_checkpoint(name)
    found = read_checkpoint(name).vocabulary if is_checkpoint else load_vocabulary(name)
    return found, is_checkpoint


def _is_checkpoint(name: str) -> bool:
    return name in shipped_checkpoints() or Path(name).is_dir() or "/" in name


def choose_genes(
    reference: AnnData,
    query: AnnData,
    vocabulary: Vocabulary,
    variable_genes: int | None,
    batch_key: str | None = None,
    pretrained: bool = False,
) -> list[str]:
    """Choose the genes of a task.

    A gene must be in the vocabulary and measured in both files. Of the query only gene names are used,
    never values; variability is computed on the reference alone.

    Parameters
    ----------
    reference, query
        Cells in the standard form; the same object if there is no query.
    vocabulary
        Genes that the model can know.
    variable_genes
        Number of most variable genes to keep (dispersion by mean expression, scanpy's "seurat" method);
        ``None`` keeps all that are expressed in the reference.
    batch_key
        Column of the reference's obs with batches: genes that vary within many batches are preferred
        over those that differ between batches. ``None``: one batch.
    pretrained
        Whether the vocabulary comes from a checkpoint; then ``variable_genes=None`` also keeps genes
        that the reference does not express.

    Returns
    -------
    list of str
        Ensembl ids.

    Raises
    ------
    UserError
        No gene is left.
    """
    expressed = np.diff(reference.X.tocsc().indptr) > 0
    if pretrained and variable_genes is None:
        expressed[:] = True
    usable = (
        expressed
        & (vocabulary.rows_of(reference.var_names) >= 0)
        & reference.var_names.isin(query.var_names)
    )
    if not usable.any():
        raise UserError(
            "genes-not-shared",
            found="no known gene that is expressed in the reference and measured in the query",
            expected="files that share genes",
            mend="check that both files have human genes, and use a checkpoint that knows them",
        )
    names = reference.var_names[usable]
    if variable_genes is None:
        return list(names)
    batches = None if batch_key is None else reference.obs[batch_key].to_numpy(str)
    return list(names[most_variable(reference.X[:, usable], variable_genes, batches)])
