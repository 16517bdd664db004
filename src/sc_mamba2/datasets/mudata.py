"""Several modalities of the same cells as an `.h5mu` file."""

from pathlib import Path
from typing import Any

import mudata
from kedro.io import AbstractDataset
from kedro_datasets._typing import TablePreview

from sc_mamba2.cells.modalities.opening import quiet_mudata, read_mudata
from sc_mamba2.datasets.previews import first_cells
from sc_mamba2.files import atomic_file


class MuDataDataset(AbstractDataset[mudata.MuData, mudata.MuData]):
    """Loads and saves a MuData; Kedro-Viz shows the first cells.

    Example
    -------
    .. code-block:: yaml

        multiomics.joint:
          type: sc_mamba2.datasets.MuDataDataset
          filepath: data/07_model_output/multiomics/joint.h5mu

    Parameters
    ----------
    filepath
        An `.h5mu` file.
    metadata
        For Kedro-Viz.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> mudata.MuData:
        """Read the file."""
        return read_mudata(self._filepath)

    def save(self, data: mudata.MuData) -> None:
        """Write the file, gzip-compressed; it appears whole or not at all."""
        with atomic_file(self._filepath) as draft, quiet_mudata():
            data.write_h5mu(draft, compression="gzip", compression_opts=1)

    def preview(self, nrows: int = 5) -> TablePreview:
        """Show the first cells."""
        return first_cells(self._filepath, nrows)

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
