"""A copy of a person's cells with results added, as an `.h5ad` file."""

from pathlib import Path
from typing import Any

import anndata as ad
from kedro.io import AbstractDataset
from kedro_datasets._typing import TablePreview

from sc_mamba2.cells import CopiedCells, write_copy
from sc_mamba2.datasets.previews import first_cells
from sc_mamba2.files import atomic_file


class CopiedCellsDataset(AbstractDataset[CopiedCells, ad.AnnData]):
    """Writes a copy of cells that need not fit into memory; loads it whole; Kedro-Viz shows the first cells.

    Example
    -------
    .. code-block:: yaml

        embedding.embedded:
          type: sc_mamba2.datasets.CopiedCellsDataset
          filepath: data/07_model_output/embedding/embedded.h5ad

    Parameters
    ----------
    filepath
        An `.h5ad` file.
    metadata
        For Kedro-Viz.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> ad.AnnData:
        """Read the file."""
        return ad.read_h5ad(self._filepath)

    def save(self, data: CopiedCells) -> None:
        """Write the file; it appears whole or not at all."""
        with atomic_file(self._filepath) as draft:
            write_copy(draft, data)

    def preview(self, nrows: int = 5) -> TablePreview:
        """Show the first cells."""
        return first_cells(self._filepath, nrows)

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
