"""A cell as the sum of its genes: no order, no context. B cells, V vocabulary, X columns."""

from torch import Tensor
from torch.nn import functional

from sc_mamba2.tokens import Batch


def sum_of_genes(batch: Batch, table_VX: Tensor) -> Tensor:
    """Sum the rows of a table over a cell's genes, each times its log-normalised value.

    Parameters
    ----------
    batch
        B cells; `<cls>` and pads have the value 0.
    table_VX
        One row a token of the vocabulary, (V, X), such as the gene embedding.

    Returns
    -------
    Tensor
        (B, X).
    """
    return functional.embedding_bag(
        batch.token_ids_BL, table_VX, mode="sum", per_sample_weights=batch.values_BL.to(table_VX)
    )
