"""Which genes become tokens: known to the vocabulary, measured everywhere, and variable enough."""

import numpy as np
import scanpy as sc
from anndata import AnnData

from sc_mamba2.errors import UserError
from sc_mamba2.genes import Vocabulary


def choose_genes(
    reference: AnnData,
    query: AnnData,
    vocabulary: Vocabulary,
    variable_genes: int | None,
    batch_key: str | None = None,
    pretrained: bool = False,
) -> list[str]:
    """Choose the genes of a task.

    A gene must be in the vocabulary and among the measured genes of both files; only the names of
    the query's genes are looked at, never its values. Variability is taken from the reference alone.

    Parameters
    ----------
    reference, query
        Cells in the standard form; the same object where there is no query.
    vocabulary
        Genes that the model can know.
    variable_genes
        How many of the most variable ones to keep (dispersion by mean expression, the method
        "seurat" of scanpy); ``None`` keeps all that are expressed in the reference.
    batch_key
        Column of the reference's obs: genes that vary within many of its batches come first, not
        those that tell batches apart. ``None``: all cells as one.
    pretrained
        Whether the vocabulary is that of a checkpoint, which knows genes that no cell of the
        reference expresses: ``None`` keeps these too.

    Returns
    -------
    list of str
        Ensembl ids.

    Raises
    ------
    UserError
        Nothing is left.
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
            found="no gene that is expressed in the reference, measured in the query and known",
            expected="files that share genes",
            mend="check that both files hold human genes, and use a checkpoint that knows them",
        )
    if variable_genes is None or usable.sum() <= variable_genes:
        return list(reference.var_names[usable])
    plain = AnnData(X=reference.X[:, usable])
    if batch_key is not None:
        plain.obs[batch_key] = reference.obs[batch_key].to_numpy(str)
    table = sc.pp.highly_variable_genes(
        plain, n_top_genes=variable_genes, flavor="seurat", batch_key=batch_key, inplace=False
    )
    return list(reference.var_names[usable][table["highly_variable"].to_numpy()])
