"""The tokenizer: a vocabulary and rules that turn rows of expression into tokens.

Arrays and gene ids come in, never an AnnData. The choice of genes is deterministic: no cell depends
on its neighbours, on chance or on the order of the genes in a file.
"""

import json

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from sc_mamba2.errors import UserError
from sc_mamba2.genes import Vocabulary
from sc_mamba2.tokens.binning import bin_cell
from sc_mamba2.tokens.tokenized import TokenizedCells


class TokenizerRules(BaseModel):
    """How values become tokens; stored with every checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_bins: int = Field(51, ge=3, le=32767, description="value bins, with bin 0 for zero")
    max_length: int = Field(
        4096, ge=2, description="tokens a cell at most, with <cls>; the highest values are kept"
    )


class Tokenizer:
    """A vocabulary and the rules; `tokenize` is a pure function of one cell's values.

    Parameters
    ----------
    vocabulary
        Genes that can become tokens; others are left out.
    rules
        Number of bins and the limit of length.
    """

    def __init__(self, vocabulary: Vocabulary, rules: TokenizerRules) -> None:
        self.vocabulary = vocabulary
        self.rules = rules

    def tokenize(
        self, matrix: sparse.csr_matrix, gene_ids: np.ndarray, obs: pd.DataFrame
    ) -> TokenizedCells:
        """Turn expression into tokens.

        Parameters
        ----------
        matrix
            N x G, CSR, log-normalised, not negative.
        gene_ids
            (G,) Ensembl ids of the columns.
        obs
            N rows, kept with the tokens.

        Returns
        -------
        TokenizedCells
            Genes with a value above zero, in vocabulary order. A cell with more genes than the
            limit keeps the highest values, of equal ones those earlier in the vocabulary. Bins are
            taken before that cut, over all of the cell's genes that the vocabulary knows.

        Raises
        ------
        UserError
            No gene of the matrix is in the vocabulary.
        """
        rows = self.vocabulary.rows_of(gene_ids)
        known = np.flatnonzero(np.isin(rows, self.vocabulary.gene_rows))
        if not len(known):
            raise UserError(
                "genes-not-in-vocabulary",
                found=f"none of the {len(rows):,} genes is in the vocabulary '{self.vocabulary.name}'",
                expected="cells with genes that the checkpoint knows",
                mend="use a checkpoint that was trained on genes measured here",
            )
        columns = known[np.argsort(rows[known], kind="stable")]
        ordered = sparse.csr_matrix(matrix[:, columns], dtype=np.float32)
        ordered.sum_duplicates()
        ordered.eliminate_zeros()
        ordered.sort_indices()
        cells = [
            self._tokenize_cell(ordered.indices[start:stop], ordered.data[start:stop])
            for start, stop in zip(ordered.indptr[:-1], ordered.indptr[1:], strict=True)
        ]
        empty = (np.zeros(0, np.int32), np.zeros(0, np.int16), np.zeros(0, np.float32))
        positions, bins, values = map(np.concatenate, zip(empty, *cells, strict=True))
        lengths = [len(cell[0]) for cell in cells]
        return TokenizedCells(
            gene_rows=rows[columns][positions].astype(np.int32),
            bins=bins,
            values=values,
            offsets=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
            obs=obs.copy(),
        )

    def to_json(self) -> str:
        """Return rules and vocabulary as one JSON text."""
        vocabulary = json.loads(self.vocabulary.to_json())
        return json.dumps({"rules": self.rules.model_dump(), "vocabulary": vocabulary})

    @classmethod
    def from_json(cls, text: str) -> "Tokenizer":
        """Build the tokenizer that `to_json` wrote."""
        parts = json.loads(text)
        vocabulary = Vocabulary.from_json(json.dumps(parts["vocabulary"]))
        return cls(vocabulary, TokenizerRules(**parts["rules"]))

    def _tokenize_cell(
        self, positions: np.ndarray, values: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        bins = bin_cell(values, self.rules.n_bins)
        limit = self.rules.max_length - 1
        if len(values) > limit:
            kept = np.sort(np.argsort(-values, kind="stable")[:limit])
            return positions[kept], bins[kept], values[kept]
        return positions, bins, values
