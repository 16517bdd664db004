"""Thinned batches for count splitting, from a token store of counts.

S studies: the values of a column of obs. C types, T terms of an ontology.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from sc_mamba2.tokens import (
    ThinnedBatch,
    ThinningOptions,
    Tokenizer,
    TokenStore,
    thin_batch,
)
from sc_mamba2.training.corpus_cells import CorpusCells, read_column
from sc_mamba2.training.options import SamplingOptions
from sc_mamba2.training.ranks import ALONE, Ranks

SOURCE, TYPES = "source", "cell_type_terms"  # columns of a corpus


class ThinnedCells(CorpusCells):
    """Thinned batches of some cells of a store whose bins are counts.

    The parameters of `CorpusCells`, and:

    Parameters
    ----------
    studies_N, types_N
        Number of the study and of the type of every cell of the store.
    thinning
        Options of count splitting.
    """

    def __init__(
        self,
        store: TokenStore,
        cells: np.ndarray,
        tokenizer: Tokenizer,
        studies_N: np.ndarray,
        types_N: np.ndarray,
        sampling: SamplingOptions,
        thinning: ThinningOptions,
        batch_size: int,
        seed: int,
    ) -> None:
        super().__init__(store, cells, tokenizer, sampling, batch_size, seed)
        self.studies_N, self.types_N, self.thinning = studies_N, types_N, thinning

    def load(self, cells: np.ndarray, epoch: int) -> ThinnedBatch:
        """Return cells as a thinned batch, in rows of the model's vocabulary."""
        chance = (self.thinning, self.seed, epoch)
        of_cells = (self.studies_N, self.types_N)
        return thin_batch(self.source, cells, self.tokenizer.vocabulary, *chance, *of_cells)


def number_studies(
    store: TokenStore, column: str, first: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """Return the study number of all cells, (N,) int64, and the studies' names, those of the cells `first` first.

    A cell's study is its value in the column or, if empty, its source file, since files differ in the genes
    they measured.
    """
    kept = store.manifest.obs_columns or []
    if SOURCE in kept:
        files_N = read_column(store, SOURCE)
        groups_N = read_column(store, column) if column in kept else files_N
        groups_N = np.where(groups_N == "", files_N, groups_N)
    else:
        groups_N = read_column(store, column)
    names = [str(name) for name in pd.unique(np.concatenate([groups_N[first], groups_N]))]
    return pd.Index(names).get_indexer(pd.Index(groups_N)).astype(np.int64), names


def genes_by_study(
    store: TokenStore,
    studies_N: np.ndarray,
    count: int,
    together: int = 4096,
    ranks: Ranks = ALONE,
) -> np.ndarray:
    """Count the cells of each study that express each gene of the store's vocabulary, (S, V) int64.

    A gene that no cell of a study expresses counts as unmeasured there. Each process reads its share of the
    cells.
    """
    size = store.tokenizer.vocabulary.size
    cells_SV = np.zeros((count, size), dtype=np.int64)
    first, last = (len(store) * part // ranks.size for part in (ranks.rank, ranks.rank + 1))
    for start in range(first, last, together):
        cells = np.arange(start, min(start + together, last))
        found = store.gather(cells)
        study_T = np.repeat(studies_N[cells], np.diff(found.offsets))
        at_T = study_T * size + found.gene_rows.astype(np.int64)
        cells_SV += np.bincount(at_T, minlength=count * size).reshape(count, size)
    return ranks.sum_counts(cells_SV)


class TypeTargets(NamedTuple):
    """Cell types with their ancestors in an ontology.

    Attributes
    ----------
    numbers_N
        Number of the type of every cell of the store, -1 for none.
    terms
        Names of the T terms.
    is_CT
        bool, whether a cell of a type belongs to a term.
    known_CT
        bool, whether that is known: it is not for possible descendants of the cell's type.
    """

    numbers_N: np.ndarray
    terms: list[str]
    is_CT: np.ndarray
    known_CT: np.ndarray


def type_targets(store: TokenStore, training: np.ndarray, least: int) -> TypeTargets:
    """Read the types of a corpus from column `TYPES`: a cell's own term and its ancestors, space-separated.

    Terms are kept if at least `least` training cells belong to them and as many do not. A term counts as a
    possible descendant of a type if all its cells also belong to that type.
    """
    if TYPES not in (store.manifest.obs_columns or []):
        empty = np.zeros((0, 0), dtype=bool)
        return TypeTargets(np.full(len(store), -1), [], empty, empty)
    column_N = read_column(store, TYPES)
    names, counts = np.unique(column_N[training], return_counts=True)
    names, counts = names[names != ""], counts[names != ""]
    above = [name.split() for name in names]
    terms = sorted({term for line in above for term in line})
    is_CT = np.array([[term in line for term in terms] for line in above], dtype=bool)
    is_CT = is_CT.reshape(len(names), len(terms))
    ones_T = counts @ is_CT
    chosen_T = (ones_T >= least) & (counts.sum() - ones_T >= least)
    own_CC = np.array([[line[0] in other for other in above] for line in above], dtype=bool)
    own_CC = own_CC.reshape(
        len(names), len(names)
    )  # (type, cells of a type): are these ones of it?
    below_CT = (~own_CC).astype(np.int64) @ is_CT == 0
    numbers_N = pd.Index(names).get_indexer(column_N).astype(np.int64)
    kept = [term for term, chosen in zip(terms, chosen_T, strict=True) if chosen]
    return TypeTargets(numbers_N, kept, is_CT[:, chosen_T], (is_CT | ~below_CT)[:, chosen_T])
