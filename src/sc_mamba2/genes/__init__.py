"""Genes: the offline table of identifiers, the mapping of names to it, and the vocabulary."""

from sc_mamba2.genes.cleaning import CleanedNames, clean_names
from sc_mamba2.genes.mapping import (
    GeneMapping,
    is_of_mouse,
    is_spreadsheet_date,
    looks_like,
    map_genes,
)
from sc_mamba2.genes.table import GeneTable, load_gene_table
from sc_mamba2.genes.vocabulary import Vocabulary, load_vocabulary

__all__ = [
    "CleanedNames",
    "GeneMapping",
    "GeneTable",
    "Vocabulary",
    "clean_names",
    "is_of_mouse",
    "is_spreadsheet_date",
    "load_gene_table",
    "load_vocabulary",
    "looks_like",
    "map_genes",
]
