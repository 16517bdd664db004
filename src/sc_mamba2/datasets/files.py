"""Tables, JSON and text from kedro-datasets, and figures, all written atomically."""

import base64
import html
from pathlib import PurePosixPath
from typing import Any

from kedro_datasets import json, pandas, text
from kedro_datasets._typing import HTMLPreview

from sc_mamba2.datasets.base import FileDataset, Located
from sc_mamba2.files import atomic_file, atomic_folder, restored


class _Atomic(Located):
    """Save through a temporary sibling; for local, unversioned files."""

    def save(self, data: Any) -> None:
        """Save `data`."""
        final = self._filepath
        with atomic_file(str(final)) as draft:
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


class FiguresDataset(FileDataset):
    """Save and load a folder of PNG files by name, for a report and for Kedro-Viz.

    .. code-block:: yaml

        annotation.figures:
          type: sc_mamba2.datasets.FiguresDataset
          filepath: data/08_reporting/annotation/figures
    """

    def load(self) -> dict[str, bytes]:
        """Read the figures in the order in which they were drawn."""
        paths = sorted(restored(self._path).glob("*.png"))
        return {path.stem.split("_", 1)[1]: path.read_bytes() for path in paths}

    def save(self, data: dict[str, bytes]) -> None:
        """Write the figures."""
        with atomic_folder(self._path) as draft:
            for place, (name, picture) in enumerate(data.items(), start=1):
                (draft / f"{place:02d}_{name}.png").write_bytes(picture)

    def preview(self) -> HTMLPreview:
        """Show the figures one below the other, with their names."""
        parts = []
        for name, picture in self.load().items():
            title = html.escape(name.replace("_", " "))
            source = f"data:image/png;base64,{base64.b64encode(picture).decode('ascii')}"
            # On white: the figures are made for paper, and Kedro-Viz is dark.
            style = "width: 100%; background: white"
            parts.append(f'<h3>{title}</h3><img alt="{title}" src="{source}" style="{style}">')
        return HTMLPreview("".join(parts))

    def _exists(self) -> bool:
        return any(restored(self._path).glob("*.png"))
