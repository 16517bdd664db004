"""Preparation in scanpy's style: validation and tokenization of cells."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import numpy as np
from anndata import AnnData
from torch import Tensor

from sc_mamba2 import tokens
from sc_mamba2.cells.adding import readable_cells
from sc_mamba2.cells.keys import Kind
from sc_mamba2.model import read_checkpoint
from sc_mamba2.tasks.shared.check import check_source
from sc_mamba2.tasks.shared.params import IngestionParams, ValidationParams
from sc_mamba2.tasks.shared.tokenization import tokenize_cells
from sc_mamba2.tasks.shared.validation import ingest_and_validate

__all__ = ["Tokenizer", "validate"]


class HasTokenizer(Protocol):
    """A model that was trained on tokens."""

    tokenizer: tokens.Tokenizer


class Tokenizer(tokens.Tokenizer):
    """Turn an AnnData into the token batches that a backbone reads.

    Models from `sc_mamba2.from_pretrained` have one as `tokenizer`; for other models use `of`.

    Examples
    --------
    >>> import sc_mamba2 as scm
    >>> from sc_mamba2.cells import simulate_cells
    >>> model = scm.from_pretrained("scm-tiny")
    >>> batch = model.tokenizer(simulate_cells(cells=3))
    >>> list(batch)
    ['token_ids_BL', 'bins_BL', 'lengths']
    >>> model(**batch).cell_BD.shape
    torch.Size([3, 128])
    """

    @classmethod
    def of(cls, model: str | Path | HasTokenizer) -> Self:
        """Return the tokenizer of a model, or of a checkpoint (name or folder) of any task.

        Raises
        ------
        UserError
            Rules of `read_checkpoint`; `checkpoint-config`.
        """
        if not isinstance(model, str | Path):
            return cls(model.tokenizer.vocabulary, model.tokenizer.rules)
        checkpoint = read_checkpoint(model)
        return cls(checkpoint.vocabulary, checkpoint.token_rules())

    def __call__(
        self, adata: AnnData, *, layer: str | None = None, holds: Kind | None = None
    ) -> dict[str, Tensor]:
        """Turn cells into one right-padded batch.

        Parameters
        ----------
        adata
            N cells; not modified.
        layer, holds
            Layer with the expression, and the kind of its values; as in `validate`.

        Returns
        -------
        dict
            Arguments of the model and its backbone: ``token_ids_BL`` (N, L) int64, ``bins_BL`` (N, L)
            float32, ``lengths`` (N,) int64, with `<cls>`.

        Raises
        ------
        UserError
            As `validate` raises, or the model knows none of the genes.
        """
        (batch,) = self.batches(adata, sys.maxsize, layer=layer, holds=holds)
        return batch

    def batches(
        self,
        adata: AnnData,
        batch_size: int,
        *,
        layer: str | None = None,
        holds: Kind | None = None,
    ) -> Iterator[dict[str, Tensor]]:
        """Yield batches of `batch_size` cells in order, each as returned by `__call__`."""
        ingestion = IngestionParams(layer=layer, holds=holds)
        valid, _ = ingest_and_validate(readable_cells(adata), ingestion, ValidationParams())
        found = tokenize_cells(valid, self, with_obs=False)
        for first in range(0, len(found), batch_size):
            cells = np.arange(first, min(first + batch_size, len(found)))
            batch = tokens.make_batch(found, cells, self.vocabulary)
            yield {
                "token_ids_BL": batch.token_ids_BL,
                "bins_BL": batch.bins_BL,
                "lengths": batch.lengths_B,
            }


def validate(
    adata: AnnData,
    *,
    label_key: str | None = None,
    layer: str | None = None,
    holds: Kind | None = None,
    species: Literal["human", "mouse"] = "human",
) -> dict[str, Any]:
    """Check cells, and report what would be read and dropped, like `scm validate`.

    Parameters
    ----------
    adata
        Cells; not modified.
    label_key
        Column of `obs` with labels to check as well.
    layer
        Layer with the expression, ``X`` or ``raw``; by default the first usable matrix.
    holds
        Kind of its values: ``counts``, ``normalised`` or ``log_normalised`` (log1p of 10,000 per cell);
        by default inferred.
    species
        Species of the cells; mouse genes are mapped to their human orthologues.

    Returns
    -------
    dict
        The report: cells, expression, genes matched and dropped, expressed genes per cell, columns,
        labels, remarks.

    Raises
    ------
    UserError
        The first broken rule.

    Examples
    --------
    >>> import sc_mamba2 as scm
    >>> from sc_mamba2.cells import simulate_cells
    >>> report = scm.pp.validate(simulate_cells(cells=12))
    >>> report["expression"]["origin"], report["genes"]["matched"]
    ('X', 200)
    """
    ingestion = IngestionParams(layer=layer, holds=holds, species=species)
    return check_source(readable_cells(adata), ingestion, label_key)
