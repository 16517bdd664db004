"""Cells as catalog entries: from any source, AnnData, copies with results, MuData."""

from contextlib import nullcontext
from typing import Any, NoReturn

import anndata as ad
import h5py
import mudata
import numpy as np
from kedro.io import AbstractDataset
from kedro_datasets._typing import TablePreview

from sc_mamba2.cells import CopiedCells, read_cells, write_copy
from sc_mamba2.cells.modalities.opening import quiet_mudata, read_mudata
from sc_mamba2.cells.readers import open_zarr
from sc_mamba2.cells.source_check import unnamed_source
from sc_mamba2.cells.writing import writable
from sc_mamba2.datasets.base import FileDataset, Kept
from sc_mamba2.files import atomic_file, atomic_folder

GZIP: dict[str, Any] = {"compression": "gzip", "compression_opts": 1}


class CellsDataset(Kept, AbstractDataset[Any, ad.AnnData]):
    """Read cells from any source that `read_cells` knows; read-only.

    .. code-block:: yaml

        reference.raw_cells:
          type: sc_mamba2.datasets.CellsDataset
          source: scanpy:pbmc68k_reduced   # or my/cells.h5ad
          validator: sc_mamba2.cells.RawCellsContract

    Parameters
    ----------
    source
        Path or name; relative paths are relative to the working folder. ``None`` is refused on load.
    metadata
        For Kedro-Viz.
    """

    def __init__(self, source: str | None, metadata: dict[str, Any] | None = None) -> None:
        self.source = source
        self.metadata = metadata

    def _read(self) -> ad.AnnData:
        if self.source is None:
            raise unnamed_source()
        return read_cells(self.source)

    def _write(self, data: Any) -> NoReturn:
        raise NotImplementedError("raw cells are read only")

    def _describe(self) -> dict[str, Any]:
        return {"source": self.source}


class _CellsFile(FileDataset):
    """An `.h5ad` or `.h5mu` file, or a zarr folder, whose first cells are shown in Kedro-Viz."""

    def preview(self, nrows: int = 5) -> TablePreview:
        """Show the first rows of `obs`; nothing else is read."""
        is_zarr = self._path.is_dir()
        with nullcontext(open_zarr(self._path)) if is_zarr else h5py.File(self._path) as file:
            head = ad.io.read_elem(file["obs"]).head(nrows).reset_index()
        rows = head.astype(object).where(head.notna(), None).to_numpy()
        data = [[item.item() if isinstance(item, np.generic) else item for item in r] for r in rows]
        columns = [str(name) for name in head.columns]
        return TablePreview({"index": list(range(len(data))), "columns": columns, "data": data})


class AnnDataDataset(Kept, _CellsFile):
    """Load and save an AnnData.

    .. code-block:: yaml

        annotation.annotated:
          type: sc_mamba2.datasets.AnnDataDataset
          filepath: data/07_model_output/annotation/annotated.h5ad
    """

    def _read(self) -> ad.AnnData:
        return read_cells(self._path)

    def _write(self, data: ad.AnnData) -> None:
        with atomic_file(self._path) as draft:
            writable(data).write_h5ad(draft, **GZIP)


class CopiedCellsDataset(_CellsFile):
    """Write a copy of the user's cells as `.h5ad` or zarr, without loading them; loads it whole.

    .. code-block:: yaml

        embedding.embedded:
          type: sc_mamba2.datasets.CopiedCellsDataset
          filepath: data/07_model_output/embedding/embedded.h5ad
    """

    def load(self) -> ad.AnnData:
        """Read the file."""
        return read_cells(self._path)

    def save(self, data: CopiedCells) -> None:
        """Write the file or folder."""
        atomic = atomic_folder if self._path.suffix == ".zarr" else atomic_file
        with atomic(self._path) as draft:
            write_copy(draft, data)


class MuDataDataset(_CellsFile):
    """Load and save several modalities of the same cells.

    .. code-block:: yaml

        multiomics.joint:
          type: sc_mamba2.datasets.MuDataDataset
          filepath: data/07_model_output/multiomics/joint.h5mu
    """

    def load(self) -> mudata.MuData:
        """Read the file."""
        return read_mudata(self._path)

    def save(self, data: mudata.MuData) -> None:
        """Write the file."""
        with atomic_file(self._path) as draft, quiet_mudata():
            writable(data).write_h5mu(draft, **GZIP)
