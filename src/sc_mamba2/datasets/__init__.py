"""Kedro dataset classes for the catalog entries of this project."""

from sc_mamba2.datasets.cells import AnnDataDataset, CellsDataset, CopiedCellsDataset, MuDataDataset
from sc_mamba2.datasets.files import (
    CSVDataset,
    FiguresDataset,
    JSONDataset,
    ParquetDataset,
    TextDataset,
)
from sc_mamba2.datasets.models import (
    CheckpointDataset,
    IndexDataset,
    TokenizerDataset,
    TokensDataset,
)

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
