"""An AnnData as an `.h5ad` file."""

from pathlib import Path, PurePosixPath
from typing import Any

import anndata as ad
from kedro.io import AbstractVersionedDataset, DatasetError, Version
from kedro_datasets._typing import TablePreview

from sc_mamba2.cells import read_cells
from sc_mamba2.datasets.kept import Kept
from sc_mamba2.datasets.previews import first_cells
from sc_mamba2.files import atomic_file


class AnnDataDataset(Kept, AbstractVersionedDataset[ad.AnnData, ad.AnnData]):
    """Loads and saves an AnnData; Kedro-Viz shows the first cells of its table.

    Example
    -------
    .. code-block:: yaml

        annotation.annotated:
          type: sc_mamba2.datasets.AnnDataDataset
          filepath: data/07_model_output/annotation/annotated.h5ad

    Parameters
    ----------
    filepath
        An `.h5ad` file.
    version
        Kedro's version, for ``versioned: true``.
    metadata
        For Kedro-Viz.
    """

    def __init__(
        self,
        filepath: str,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(PurePosixPath(filepath), version)
        self.metadata = metadata

    def _read(self) -> ad.AnnData:
        return read_cells(str(self._get_load_path()))

    def _write(self, data: ad.AnnData) -> None:
        with atomic_file(str(self._get_save_path())) as draft:
            data.write_h5ad(draft, compression="gzip", compression_opts=1)

    def preview(self, nrows: int = 5) -> TablePreview:
        """Show the first cells."""
        return first_cells(Path(str(self._get_load_path())), nrows)

    def _exists(self) -> bool:
        try:
            return Path(str(self._get_load_path())).exists()
        except DatasetError:  # versioned, and no version is there
            return False

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "version": self._version}
