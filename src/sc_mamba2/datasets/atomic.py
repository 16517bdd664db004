"""Datasets of kedro-datasets whose files appear whole or not at all."""

from pathlib import Path, PurePosixPath
from typing import Any

from kedro_datasets import json, pandas, text

from sc_mamba2.files import atomic_file


class _Atomic:
    """Saves through a temporary sibling; for local, unversioned files."""

    _filepath: PurePosixPath

    def save(self, data: Any) -> None:
        """Save `data`."""
        final = self._filepath
        with atomic_file(Path(final)) as draft:
            try:
                self._filepath = PurePosixPath(draft)
                super().save(data)  # type: ignore[misc]
            finally:
                self._filepath = final


class CSVDataset(_Atomic, pandas.CSVDataset):
    """A pandas table that DVC can plot: ``type: sc_mamba2.datasets.CSVDataset``."""


class JSONDataset(_Atomic, json.JSONDataset):
    """A JSON file: ``type: sc_mamba2.datasets.JSONDataset``."""


class ParquetDataset(_Atomic, pandas.ParquetDataset):
    """A pandas table: ``type: sc_mamba2.datasets.ParquetDataset``."""


class TextDataset(_Atomic, text.TextDataset):
    """A text file: ``type: sc_mamba2.datasets.TextDataset``."""
