"""Cells as a person gives them: a file, or a source with a name."""

from typing import Any, NoReturn

import anndata as ad
from kedro.io import AbstractDataset

from sc_mamba2.cells import read_cells
from sc_mamba2.datasets.kept import Kept
from sc_mamba2.errors import UserError


class CellsDataset(Kept, AbstractDataset[Any, ad.AnnData]):
    """Reads cells from any source that `read_cells` knows; never writes.

    Example
    -------
    .. code-block:: yaml

        reference.raw_cells:
          type: sc_mamba2.datasets.CellsDataset
          source: scanpy:pbmc68k_reduced   # or my/cells.h5ad
          validator: sc_mamba2.cells.RawCellsContract

    Parameters
    ----------
    source
        Path or name; relative paths are taken from the working folder. ``None`` is refused on load.
    metadata
        For Kedro-Viz.
    """

    def __init__(self, source: str | None, metadata: dict[str, Any] | None = None) -> None:
        self.source = source
        self.metadata = metadata

    def _read(self) -> ad.AnnData:
        if self.source is None:
            raise UserError(
                "source-none",
                found="no file of cells was named",
                expected="a path or a named source",
                mend="pass it: --input FILE for the reference, --params query=FILE for the query",
            )
        return read_cells(self.source)

    def _write(self, data: Any) -> NoReturn:
        raise NotImplementedError("raw cells are read only")

    def _describe(self) -> dict[str, Any]:
        return {"source": self.source}
