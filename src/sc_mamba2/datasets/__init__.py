"""Kedro dataset classes: what a catalog entry of this project can be. One class a file."""

from sc_mamba2.datasets.anndata import AnnDataDataset
from sc_mamba2.datasets.atomic import CSVDataset, JSONDataset, ParquetDataset, TextDataset
from sc_mamba2.datasets.cells import CellsDataset
from sc_mamba2.datasets.checkpoint import CheckpointDataset
from sc_mamba2.datasets.copied import CopiedCellsDataset
from sc_mamba2.datasets.figures import FiguresDataset
from sc_mamba2.datasets.index import IndexDataset
from sc_mamba2.datasets.mudata import MuDataDataset
from sc_mamba2.datasets.tokenizer import TokenizerDataset
from sc_mamba2.datasets.tokens import TokensDataset

__all__ = [
    "AnnDataDataset",
    "CSVDataset",
    "CellsDataset",
    "CheckpointDataset",
    "CopiedCellsDataset",
    "FiguresDataset",
    "IndexDataset",
    "JSONDataset",
    "MuDataDataset",
    "ParquetDataset",
    "TextDataset",
    "TokenizerDataset",
    "TokensDataset",
]
