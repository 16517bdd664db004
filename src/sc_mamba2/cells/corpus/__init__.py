"""Corpora: many files as one ordered set of cells, filtered, each cell once, a block at a time."""

from sc_mamba2.cells.corpus.filters import CorpusFilters
from sc_mamba2.cells.corpus.ingest import Consume, CorpusFile, ingest_corpus
from sc_mamba2.cells.corpus.scan import ReadingRules
from sc_mamba2.cells.corpus.sources import list_sources

__all__ = [
    "Consume",
    "CorpusFile",
    "CorpusFilters",
    "ReadingRules",
    "ingest_corpus",
    "list_sources",
]
