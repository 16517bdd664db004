"""Copy results from the cells that a pipeline returns to the user's own object, in place.

Names of results contain the word `scm` (see `keys`), which can be replaced by another.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import anndata as ad
import mudata
import numpy as np
import pandas as pd
from scipy import sparse

from sc_mamba2.cells import keys
from sc_mamba2.cells.modalities.opening import kinds_of_tables
from sc_mamba2.errors import UserError

Cells: TypeAlias = ad.AnnData | mudata.MuData
Result: TypeAlias = tuple[str, str, Any]  # table, name for the user, value
WORD = keys.FACTS


def readable_cells(cells: ad.AnnData) -> ad.AnnData:
    """Return the parts of the cells that a pipeline reads: matrices and tables, without earlier results.

    The matrices are shared, not copied.

    Raises
    ------
    UserError
        Rules ``cells-kind``, ``cells-names`` and ``cells-backed``.
    """
    check_kind(cells, ad.AnnData)
    if cells.obs.index.nlevels > 1 or cells.var.index.nlevels > 1:
        raise UserError(
            "cells-names",
            found="names of several levels (a pandas MultiIndex)",
            expected="one name per cell, and one per gene",
            mend='join the levels: adata.obs.index = adata.obs.index.map("-".join)',
        )
    if cells.isbacked:
        raise UserError(
            "cells-backed",
            found="cells whose matrix is on disk",
            expected="cells in memory",
            mend="adata = adata.to_memory(), or use the verb, which reads large files in blocks",
        )
    return ad.AnnData(
        X=cells.X,
        obs=cells.obs[[name for name in cells.obs if not keys.is_result(name)]],
        var=cells.var[[name for name in cells.var if not keys.is_result(name)]],
        layers={name: matrix for name, matrix in cells.layers.items() if not keys.is_result(name)},
        raw=cells.raw,
    )


def check_kind(cells: object, kind: type) -> None:
    """Refuse an object of another type, such as AnnData or MuData (rule ``cells-kind``)."""
    if not isinstance(cells, kind):
        raise UserError(
            "cells-kind",
            found=f"an object of type {type(cells).__name__}",
            expected=f"an object of type {kind.__name__}",
            mend="read a file first: sc_mamba2.cells.read_cells(FILE), or mudata.read_h5mu(FILE)",
        )


def add_results(cells: Cells, found: Cells, key_added: str = WORD) -> None:
    """Add the results in `found`, in place; everything else in `cells` is unchanged.

    Parameters
    ----------
    cells
        The user's object.
    found
        Some of its cells, by name, with results. Cells not in it get an empty row in a sparse
        matrix, NaN elsewhere.
    key_added
        Replaces `scm` in the names of the results.

    Raises
    ------
    UserError
        Rules ``key-added``, ``key-taken``; nothing is added then.
    """
    pairs: list[tuple[Cells, Cells]] = [(cells, found)]
    if isinstance(found, mudata.MuData):
        names = kinds_of_tables(cells)
        pairs += [(cells.mod[names[kind]], part) for kind, part in found.mod.items()]
    added = [(own, part, _results(part, key_added)) for own, part in pairs]
    _check_free(added, key_added)
    for own, part, results in added:
        rows = part.obs_names.get_indexer(own.obs_names)
        for table, name, value in results:
            whole = value if table in ("uns", "var") else _aligned(value, rows)
            by_place = whole.array if isinstance(whole, pd.Series) else whole  # not by name
            getattr(own, table)[name] = by_place


def _results(found: Cells, key_added: str) -> list[Result]:
    """Return the results of cells: table, name for the user, and value of each."""
    whole = isinstance(found, mudata.MuData)
    tables = ("obs", "obsm", "uns") if whole else ("obs", "obsm", "uns", "var", "layers")
    return [
        (table, named(str(name), key_added), value)
        for table in tables
        for name, value in getattr(found, table).items()
        if keys.is_result(name)
    ]


def named(name: str, key_added: str) -> str:
    """Return the name of a result with `scm` replaced by another word."""
    return name.replace(WORD, key_added, 1)


def _check_free(added: list[tuple[Cells, Cells, list[Result]]], key_added: str) -> None:
    """Refuse a word that names data of the user's that are not results; the first entry is the whole object."""
    if not key_added or "/" in key_added:
        raise UserError(
            "key-added",
            found=f"key_added={key_added!r}",
            expected="a word without a slash, which replaces 'scm' in the names of the results",
            mend="choose another word",
        )
    facts = added[0][0].uns.get(key_added)
    if key_added == WORD or (isinstance(facts, Mapping) and "run_id" in facts):
        return  # earlier results may be replaced
    taken = [
        f'{table}["{name}"]'
        for own, _, results in added
        for table, name, _ in results
        if name in getattr(own, table)
    ]
    if taken:
        raise UserError(
            "key-taken",
            found=f"{', '.join(taken)}, not written by this package",
            expected="unused names",
            mend="choose another key_added",
        )


def _aligned(value: Any, rows: np.ndarray) -> Any:
    """Put a result's rows in the order of the user's cells; -1 where a cell has none."""
    if len(rows) == value.shape[0] and np.array_equal(rows, np.arange(len(rows))):
        return value
    present = rows >= 0
    if sparse.issparse(value):
        ones = np.ones(int(present.sum()), dtype=value.dtype)
        move = sparse.csr_matrix(
            (ones, (np.flatnonzero(present), rows[present])), shape=(len(rows), value.shape[0])
        )
        return sparse.csr_matrix(move @ value)
    if isinstance(value, pd.Series) and value.dtype == bool:
        return value.iloc[rows] & present
    if isinstance(value, pd.DataFrame | pd.Series):
        return value.iloc[rows] if present.all() else value.iloc[rows].where(present)
    whole = np.full((len(rows), *value.shape[1:]), np.nan, dtype=value.dtype)
    whole[present] = value[rows[present]]
    return whole
