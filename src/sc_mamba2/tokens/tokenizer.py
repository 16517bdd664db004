"""The tokenizer: a vocabulary and rules that turn rows of expression into tokens.

It takes arrays and gene ids, not an AnnData. The choice of genes is deterministic: no cell depends
on other cells, on chance or on the order of the genes in a file.
"""

import json
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy import sparse

from sc_mamba2.errors import UserError
from sc_mamba2.genes import Vocabulary
from sc_mamba2.tokens.binning import bins_of, rank_cells
from sc_mamba2.tokens.options import TokenizerRules
from sc_mamba2.tokens.tokenized import TokenizedCells, offsets_of

_BLOCK = 128  # cells sorted and binned together


class Tokenizer:
    """A vocabulary, whose genes can become tokens, and the rules.

    `tokenize` is a pure function of one cell's values. `sc_mamba2.Tokenizer` also reads an AnnData.
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
            Genes with a value above zero, in the order of the rules, ties in vocabulary order. A cell
            with more genes than the limit keeps the highest values, ties again in vocabulary order.
            Bins are computed before that cut, over all of the cell's genes in the vocabulary.

        Raises
        ------
        UserError
            No gene of the matrix is in the vocabulary.
        """
        if not sparse.issparse(matrix):
            raise TypeError(
                f"expression as a sparse matrix is needed, not {type(matrix).__name__}; "
                "call the tokenizer of sc_mamba2.from_pretrained, or sc_mamba2.Tokenizer, with an AnnData"
            )
        rows = self.vocabulary.rows_of(gene_ids)
        known = np.flatnonzero(np.isin(rows, self.vocabulary.gene_rows))
        if not len(known):
            raise UserError(
                "genes-not-in-vocabulary",
                found=f"none of the {len(rows):,} genes is in the vocabulary '{self.vocabulary.name}'",
                expected="cells with genes that the checkpoint knows",
                mend="use a checkpoint trained on genes measured here",
            )
        columns = known[np.argsort(rows[known], kind="stable")]
        ordered = sparse.csr_matrix(matrix[:, columns], dtype=np.float32)
        ordered.sum_duplicates()
        ordered.eliminate_zeros()
        ordered.sort_indices()
        kept, bins = self._tokenize_cells(ordered.data, ordered.indptr.astype(np.int64))
        offsets = offsets_of(kept)[ordered.indptr]
        places = np.flatnonzero(kept)
        if self.rules.order == "expression":
            cell = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
            places = places[np.lexsort((-ordered.data[places], cell))]
        return TokenizedCells(
            gene_rows=rows[columns].astype(np.int32)[ordered.indices[places]],
            bins=bins[places],
            values=ordered.data[places],
            offsets=offsets,
            obs=obs.copy(),
        )

    def to_json(self) -> str:
        """Return rules and vocabulary as one JSON text."""
        vocabulary = json.loads(self.vocabulary.to_json())
        return json.dumps({"rules": self.rules.model_dump(), "vocabulary": vocabulary})

    @classmethod
    def from_json(cls, text: str) -> "Tokenizer":
        """Build the tokenizer from the output of `to_json`."""
        parts = json.loads(text)
        vocabulary = Vocabulary.from_json(json.dumps(parts["vocabulary"]))
        return cls(vocabulary, TokenizerRules(**parts["rules"]))

    def _tokenize_cells(
        self, values: np.ndarray, offsets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (T,) which values are kept and (T,) their bins, in blocks of cells that fit the CPU cache."""
        kept, bins = np.ones(len(values), dtype=bool), np.empty(len(values), dtype=np.int16)
        limit = self.rules.max_length - 1
        for first in range(0, len(offsets) - 1, _BLOCK):
            block = offsets[first : first + _BLOCK + 1]
            mine, within = slice(block[0], block[-1]), block - block[0]
            order = rank_cells(values[mine], within)
            bins[mine] = bins_of(values[mine], within, order, self.rules)
            for start, stop in pairwise(within.tolist()):
                if stop - start > limit:
                    kept[mine][order[start : stop - limit]] = False
        return kept, bins
