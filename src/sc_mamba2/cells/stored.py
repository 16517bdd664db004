"""Cells that stay on disk: tables in memory, matrices whose rows are read on request."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from sc_mamba2.cells import keys

Rows = np.ndarray | sparse.spmatrix
TABLES = ("obs", "obsm", "var", "layers", "uns")  # that may hold results


def results_of_before(names: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Return the locations of earlier results, given the names in each of `TABLES`."""
    return tuple(
        f'{table}["{name}"]' for table in names for name in names[table] if keys.is_result(name)
    )


@dataclass(frozen=True, eq=False)
class StoredMatrix:
    """A matrix read by rows: `read(start, stop)` returns them, dense or sparse."""

    shape: tuple[int, int]
    read: Callable[[int, int], Rows]

    @classmethod
    def whole(cls, shape: tuple[int, int], load: Callable[[], Rows]) -> "StoredMatrix":
        """Return a matrix loaded at the first read; CSC becomes CSR, so that reading rows is cheap."""

        @cache
        def rows() -> Rows:
            matrix = load()
            return sparse.csr_matrix(matrix) if sparse.issparse(matrix) else np.asarray(matrix)

        return cls(shape, lambda start, stop: rows()[start:stop])


@dataclass(frozen=True, eq=False)
class StoredCells:
    """Cells with the parts of an AnnData that decide their expression (`expression_candidates`).

    `raw` has `X` and `var` of its own; `results` are locations of earlier results, such as
    ``obs["scm_cell_type"]``.
    """

    source: str
    obs: pd.DataFrame
    var: pd.DataFrame
    X: StoredMatrix | None = None
    layers: dict[str, StoredMatrix] = field(default_factory=dict)
    raw: "StoredCells | None" = None
    results: tuple[str, ...] = ()

    @classmethod
    def of(cls, cells: ad.AnnData, source: str = "memory") -> "StoredCells":
        """Wrap cells that are in memory; nothing is copied."""

        def held(matrix: Rows) -> StoredMatrix:
            return StoredMatrix.whole(matrix.shape, lambda: matrix)

        raw = None
        if cells.raw is not None:
            raw = cls(source, cells.obs, cells.raw.var, held(cells.raw.X))
        layers = {name: held(matrix) for name, matrix in cells.layers.items()}
        return cls(
            source,
            cells.obs,
            cells.var,
            None if cells.X is None else held(cells.X),
            layers,
            raw,
            results_of_before({name: list(getattr(cells, name)) for name in TABLES}),
        )

    def tables(self) -> ad.AnnData:
        """Return the tables as an AnnData without a matrix."""
        return ad.AnnData(obs=self.obs, var=self.var)
