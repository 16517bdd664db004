"""Genes: the offline table of identifiers, the mapping of names to it, and the vocabulary."""

from sc_mamba2.genes.mapping import GeneMapping, looks_like, map_genes
from sc_mamba2.genes.table import GeneTable, load_gene_table
from sc_mamba2.genes.vocabulary import Vocabulary, load_vocabulary

__all__ = [
    "GeneMapping",
    "GeneTable",
    "Vocabulary",
    "load_gene_table",
    "load_vocabulary",
    "looks_like",
    "map_genes",
]
