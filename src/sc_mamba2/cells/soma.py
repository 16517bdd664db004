"""Cells of a TileDB-SOMA experiment, local or remote, such as the CELLxGENE Census.

`tiledbsoma` (the extra `census`) is imported when a source is opened; only remote addresses use the
network.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from sc_mamba2.cells.readers.layout import first_line
from sc_mamba2.cells.stored import StoredCells, StoredMatrix
from sc_mamba2.errors import UserError
from sc_mamba2.remote import SOMA

CENSUS = "s3://cellxgene-census-public-us-west-2/cell-census/{release}/soma/census_data/{organism}"
CENSUS_ACCESS = {"vfs.s3.region": "us-west-2", "vfs.s3.no_sign_request": "true"}
JOIN = "soma_joinid"
CELL_NAME = "obs_id"
GENE_NAMES = ("feature_id", "var_id")


@dataclass(frozen=True)
class SomaSource:
    """Cells of an experiment selected by a query.

    Parameters
    ----------
    uri
        Folder or address of the experiment.
    value_filter
        Query over the columns of `obs`, such as ``"tissue_general == 'blood'"``; ``None`` for all.
    measurement, layer
        Which measurement, and which layer of its `X`.
    columns
        Columns of `obs` to read; ``None`` for all.
    """

    uri: str
    value_filter: str | None = None
    measurement: str = "RNA"
    layer: str = "raw"
    columns: tuple[str, ...] | None = None

    @classmethod
    def of(cls, name: "str | SomaSource") -> "SomaSource":
        """Parse ``soma:ADDRESS?QUERY``; the address ``census`` is that of the Census."""
        if isinstance(name, cls):
            return name
        uri, _, query = str(name).removeprefix(SOMA).partition("?")
        if uri == "census":
            return census_source(query or "is_primary_data == True")
        # Absolute: TileDB keeps the working folder it started in.
        return cls(uri if "://" in uri else str(Path(uri).resolve()), query or None)

    def __str__(self) -> str:
        return self.uri


def read_soma(name: str) -> ad.AnnData:
    """Load the cells of ``soma:ADDRESS?QUERY``."""
    with open_soma(SomaSource.of(name)) as stored:
        matrix = sparse.csr_matrix(stored.X.read(0, len(stored.obs)))
        return ad.AnnData(matrix, stored.obs, stored.var)


def census_source(
    value_filter: str, release: str = "2024-07-01", organism: str = "homo_sapiens"
) -> SomaSource:
    """Return the cells of a Census release selected by a query, with the columns that filters need."""
    columns = ("dataset_id", "assay", "cell_type", "disease", "is_primary_data", "tissue")
    uri = CENSUS.format(release=release, organism=organism)
    return SomaSource(uri, value_filter, columns=columns)


@contextmanager
def open_soma(source: SomaSource) -> Iterator[StoredCells]:
    """Open an experiment; only the query's tables and the requested rows are in memory.

    Cells are named by ``obs["obs_id"]``, else by their join id; genes by ``var["feature_id"]``,
    else by ``var["var_id"]``.

    Raises
    ------
    UserError
        Rules ``soma-missing``, ``soma-open``, ``soma-query``.
    """
    with _opened(source) as experiment:
        with _querying(source):
            measurement = experiment.ms[source.measurement]
            values = measurement.X[source.layer]
            obs = _read_obs(experiment, source)
            var = measurement.var.read().concat().to_pandas().sort_values(JOIN)
        genes = next((name for name in GENE_NAMES if name in var), JOIN)
        read = partial(_read_rows, source, values, obs[JOIN].to_numpy(), var[JOIN].to_numpy())
        yield StoredCells(
            str(source),
            obs.drop(columns=JOIN),
            var.drop(columns=JOIN).set_axis(pd.Index(var[genes].astype(str), name=None)),
            StoredMatrix((len(obs), len(var)), read),
        )


def _opened(source: SomaSource) -> Any:
    try:
        import tiledbsoma as soma
    except ImportError as error:
        raise UserError(
            "soma-missing",
            found="the package tiledbsoma is not installed",
            expected="the package, to read SOMA experiments and the Census",
            mend="pip install 'sc-mamba2[census]'",
        ) from error
    settings = CENSUS_ACCESS if source.uri.startswith("s3://cellxgene-census") else {}
    try:
        context = soma.SOMATileDBContext(tiledb_config=settings)
        return soma.Experiment.open(source.uri, context=context)
    except Exception as error:
        mend = "check the path; for a collection, give the experiment inside it"
        if "://" in source.uri and not source.uri.startswith("file://"):
            mend = (
                "check the URL and the network connection; or copy the experiment to this machine"
            )
        raise UserError(
            "soma-open",
            found=f"'{source.uri}' cannot be opened ({first_line(error)})",
            expected="a SOMA experiment",
            mend=mend,
        ) from error


def _read_obs(experiment: Any, source: SomaSource) -> pd.DataFrame:
    """Read the table of the query's cells, ordered by join id."""
    options: dict[str, Any] = {"value_filter": source.value_filter}
    if source.columns is not None:
        named = {JOIN, *source.columns} | ({CELL_NAME} & set(experiment.obs.keys()))
        options["column_names"] = sorted(named)
    obs = experiment.obs.read(**options).concat().to_pandas().sort_values(JOIN)
    names = obs[CELL_NAME if CELL_NAME in obs else JOIN].astype(str)
    return obs.set_axis(pd.Index(names, name=None))


def _read_rows(
    source: SomaSource, values: Any, cells: np.ndarray, genes: np.ndarray, start: int, stop: int
) -> sparse.csr_matrix:
    names = ("soma_dim_0", "soma_dim_1", "soma_data")
    with _querying(source):
        table = values.read((cells[start:stop], slice(None))).tables().concat()
        rows, columns, data = (table[name].to_numpy() for name in names)
    places = (np.searchsorted(cells[start:stop], rows), np.searchsorted(genes, columns))
    return sparse.csr_matrix((data, places), shape=(stop - start, len(genes)))


@contextmanager
def _querying(source: SomaSource) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise UserError(
            "soma-query",
            found=f"{source} with the filter {source.value_filter!r} ({first_line(error)})",
            expected=f"a query over obs, the measurement {source.measurement} and its X {source.layer}",
            mend="correct the names; a query looks like \"tissue == 'blood' and is_primary_data == True\"",
        ) from error
