"""Writers of the same cells in every format, by the tools of those formats where they are at hand."""

import gzip
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest
import zarr
from scipy import io

from sc_mamba2.cells import read_cells
from sc_mamba2.cells.blocks import decide_stored_form, standard_blocks
from sc_mamba2.cells.opening import Source, open_cells
from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table

Writer = Callable[[ad.AnnData, Path], Path]


def iter_cells(
    source: Source, cells_a_block: int = 4096, layer: str | None = None
) -> Iterator[ad.AnnData]:
    """Give a source in the standard form, a block at a time."""
    with open_cells(source) as stored:
        form = decide_stored_form(stored, load_gene_table(), cells_a_block, layer)
        yield from standard_blocks(stored, form, cells_a_block)


def write_h5ad(cells: ad.AnnData, folder: Path) -> Path:
    path = folder / "cells.h5ad"
    cells.write_h5ad(path)
    return path


def write_zarr(cells: ad.AnnData, folder: Path, version: int = 2) -> Path:
    path = folder / f"cells-{version}.zarr"
    with ad.settings.override(zarr_write_format=version):
        cells.write_zarr(path)
    return path


def write_zarr_3(cells: ad.AnnData, folder: Path) -> Path:
    return write_zarr(cells, folder, 3)


def write_loom(cells: ad.AnnData, folder: Path) -> Path:
    """What loompy writes: a dense genes x cells matrix in chunks of 64, attributes as text."""
    path = folder / "cells.loom"
    with h5py.File(path, "w") as file:
        file.create_group("attrs")["LOOM_SPEC_VERSION"] = "3.0.0"
        dense = cells.X.toarray().T
        file.create_dataset("matrix", data=dense, chunks=True, compression="gzip")
        file.create_group("row_attrs")["Gene"] = list(cells.var["symbol"])
        file["row_attrs/Accession"] = list(cells.var_names)
        file.create_group("col_attrs")["CellID"] = list(cells.obs_names)
        file["col_attrs/cell_type"] = list(cells.obs["cell_type"].astype(str))
        file["col_attrs/umap"] = np.zeros((cells.n_obs, 2))
        file.create_group("layers")["counts"] = dense.astype(np.int32)
        for graph in ("row_graphs", "col_graphs"):
            file.create_group(graph)
    return path


def write_tenx_mtx(cells: ad.AnnData, folder: Path, version: int = 3, prefix: str = "") -> Path:
    path = folder / f"mtx-{version}{prefix}"
    path.mkdir()
    opened, end = (gzip.open, ".gz") if version == 3 else (open, "")
    with opened(path / f"{prefix}matrix.mtx{end}", "wb") as file:
        io.mmwrite(file, cells.X.T.tocoo().astype(np.int32))
    with opened(path / f"{prefix}barcodes.tsv{end}", "wt") as file:
        file.writelines(f"{name}\n" for name in cells.obs_names)
    kind = "\tGene Expression" if version == 3 else ""
    name = "features" if version == 3 else "genes"
    with opened(path / f"{prefix}{name}.tsv{end}", "wt") as file:
        pairs = zip(cells.var_names, cells.var["symbol"], strict=True)
        file.writelines(f"{ident}\t{symbol}{kind}\n" for ident, symbol in pairs)
    return path


def write_tenx_mtx_2(cells: ad.AnnData, folder: Path) -> Path:
    return write_tenx_mtx(cells, folder, 2)


def write_tenx_mtx_of_geo(cells: ad.AnnData, folder: Path) -> Path:
    return write_tenx_mtx(cells, folder, 3, "GSM1_")


def write_tenx_h5(cells: ad.AnnData, folder: Path) -> Path:
    path = folder / "v3.h5"
    with h5py.File(path, "w") as file:
        matrix = _tenx_matrix(file.create_group("matrix"), cells)
        features = matrix.create_group("features")
        features["id"] = np.array(list(cells.var_names), dtype="S")
        features["name"] = np.array(list(cells.var["symbol"]), dtype="S")
        features["feature_type"] = np.array(["Gene Expression"] * cells.n_vars, dtype="S")
    return path


def write_tenx_h5_2(cells: ad.AnnData, folder: Path) -> Path:
    """Cell Ranger 2: one group a genome."""
    path = folder / "v2.h5"
    with h5py.File(path, "w") as file:
        genome = _tenx_matrix(file.create_group("GRCh38"), cells)
        genome["genes"] = np.array(list(cells.var_names), dtype="S")
        genome["gene_names"] = np.array(list(cells.var["symbol"]), dtype="S")
    return path


def _tenx_matrix(group: h5py.Group, cells: ad.AnnData) -> h5py.Group:
    group["shape"] = np.array([cells.n_vars, cells.n_obs], dtype=np.int32)
    group["data"] = cells.X.data.astype(np.int32)
    group["indices"] = cells.X.indices.astype(np.int64)
    group["indptr"] = cells.X.indptr.astype(np.int64)
    group["barcodes"] = np.array(list(cells.obs_names), dtype="S")
    return group


def write_h5mu(cells: ad.AnnData, folder: Path) -> Path:
    """What mudata writes: a line before the HDF5, whole AnnData below `mod`, and joint tables."""
    path = folder / "cells.h5mu"
    proteins = cells[:, :3].copy()
    proteins.var_names = ["CD3", "CD4", "CD19"]
    obs = cells.obs.add_prefix("rna:").assign(joint=np.arange(cells.n_obs))
    with h5py.File(path, "w", userblock_size=512) as file:
        file.attrs.update({"encoding-type": "MuData", "encoding-version": "0.1.0"})
        for name, modality in {"prot": proteins, "rna": cells}.items():
            ad.io.write_elem(file, f"mod/{name}", modality)
        ad.io.write_elem(file, "obs", obs)
        ad.io.write_elem(file, "var", cells.var[[]])
    with path.open("r+b") as file:
        file.write(b"MuData (format-version=0.1.0;creator=muon;creator-version=0.1.0)")
    return path


WRITERS: dict[str, Writer] = {
    name.removeprefix("write_"): function
    for name, function in list(globals().items())
    if name.startswith("write_")
}


def chunks(array: Path) -> list[Path]:
    """Give the chunk files of a zarr array."""
    return sorted(
        file
        for file in array.rglob("*")
        if file.is_file() and not file.name.startswith(".") and file.name != "zarr.json"
    )


def edit_json(path: Path, change: Callable[[dict], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def forget_consolidated(path: Path) -> None:
    """Remove the copy of all metadata, so that an edited array's own is read."""
    (path / ".zmetadata").unlink(missing_ok=True)


def overwrite(path: Path, array: str, values: np.ndarray) -> None:
    """Replace an array of a zarr folder, its attributes kept."""
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    kept = dict(group[array].attrs)
    group.create_array(array, data=values, overwrite=True).attrs.update(kept)
    forget_consolidated(path)


def refusal(source: Path) -> UserError:
    with warnings.catch_warnings(), pytest.raises(UserError) as caught:
        warnings.simplefilter("ignore")
        read_cells(source)
    return caught.value
