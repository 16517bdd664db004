"""Kedro dataset classes: what a catalog entry of this project can be."""

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
