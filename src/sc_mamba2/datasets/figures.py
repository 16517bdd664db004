"""Figures as a folder of PNG files."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset
from kedro_datasets._typing import HTMLPreview

from sc_mamba2.datasets.previews import pictures
from sc_mamba2.files import atomic_folder


class FiguresDataset(AbstractDataset[dict[str, bytes], dict[str, bytes]]):
    """Saves and loads PNG files by name, ready for a report and for Kedro-Viz.

    Example
    -------
    .. code-block:: yaml

        annotation.figures:
          type: sc_mamba2.datasets.FiguresDataset
          filepath: data/08_reporting/annotation/figures

    Parameters
    ----------
    filepath
        The folder.
    metadata
        For Kedro-Viz.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> dict[str, bytes]:
        """Read the pictures in the order in which they were drawn."""
        paths = sorted(self._filepath.glob("*.png"))
        return {path.stem.split("_", 1)[1]: path.read_bytes() for path in paths}

    def save(self, data: dict[str, bytes]) -> None:
        """Write the pictures; the folder appears whole or not at all."""
        with atomic_folder(self._filepath) as draft:
            for place, (name, picture) in enumerate(data.items(), start=1):
                (draft / f"{place:02d}_{name}.png").write_bytes(picture)

    def preview(self) -> HTMLPreview:
        """Show the pictures under each other."""
        return pictures(self.load())

    def _exists(self) -> bool:
        return any(self._filepath.glob("*.png"))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
