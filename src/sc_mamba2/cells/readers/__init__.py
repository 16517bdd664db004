"""Read a source into an AnnData: one format per file, and data inside the scanpy package.

Files are untrusted: the layout is checked before anything is loaded (`detect`). `cells.contract`
checks the content of the matrix; `cells.stored` reads in blocks.
"""

from collections.abc import Callable
from pathlib import Path

import anndata as ad

from sc_mamba2.cells.readers.anndata_group import array_names, read_h5ad, read_zarr
from sc_mamba2.cells.readers.detect import detect_format, is_cell_folder
from sc_mamba2.cells.readers.h5mu import read_h5mu
from sc_mamba2.cells.readers.layout import reading
from sc_mamba2.cells.readers.loom import read_loom
from sc_mamba2.cells.readers.mtx_folder import read_mtx_folder
from sc_mamba2.cells.readers.tenx import read_tenx_h5
from sc_mamba2.cells.readers.zarr_folder import open_zarr
from sc_mamba2.cells.simulate import simulate_cells, simulate_perturbed
from sc_mamba2.cells.source_check import unknown_source
from sc_mamba2.remote import SOMA

__all__ = [
    "EMBEDDED",
    "NAMED",
    "array_names",
    "detect_format",
    "is_cell_folder",
    "open_zarr",
    "read_cells",
    "reading",
]


def _pbmc68k_reduced() -> ad.AnnData:
    import scanpy as sc  # slow to import, and few sources need it

    return sc.datasets.pbmc68k_reduced()


EMBEDDED: dict[str, Callable[[], ad.AnnData]] = {
    "scanpy:pbmc68k_reduced": _pbmc68k_reduced,
    "simulated:three-types": simulate_cells,
    "simulated:perturbations": simulate_perturbed,
}
# Prefixes of such names, and of experiments that are queried.
NAMED = (SOMA, *{f"{name.split(':')[0]}:" for name in EMBEDDED})
_FORMATS: dict[str, Callable[[Path], ad.AnnData]] = {
    "h5ad": read_h5ad,
    "zarr": read_zarr,
    "h5mu": read_h5mu,
    "loom": read_loom,
    "10x": read_tenx_h5,
    "10x-legacy": read_tenx_h5,
    "mtx": read_mtx_folder,
}


def read_cells(source: str | Path) -> ad.AnnData:
    """Read cells from a file, a folder, or the scanpy package.

    Parameters
    ----------
    source
        Path of an `.h5ad`, `.h5mu`, `.loom` or Cell Ranger `.h5` file, of a zarr folder or one with
        a `.mtx`, or a name such as ``scanpy:pbmc68k_reduced`` or ``soma:FOLDER?QUERY``.

    Returns
    -------
    AnnData
        Cells x genes, in memory, as stored.

    Raises
    ------
    UserError
        The source does not exist, is of another format, or is damaged.
    """
    name = str(source)
    if name.startswith(SOMA):
        from sc_mamba2.cells.soma import read_soma

        return read_soma(name)
    if name.startswith(NAMED):
        if name not in EMBEDDED:
            raise unknown_source(name, EMBEDDED)
        return EMBEDDED[name]()
    path = Path(source)
    read = _FORMATS[detect_format(path)]
    with reading(path):
        return read(path)
