"""Which matrix of an AnnData holds the expression, and its log-normalised form.

The order is fixed (architecture: "AnnData in"): the first integer matrix of the named layer or of
``layers["counts"]``, ``raw.X``, ``X``; else the first of ``raw.X``, ``X`` that is not negative.
"""

from dataclasses import dataclass
from typing import Literal

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from sc_mamba2.cells.keys import COUNTS_LAYER
from sc_mamba2.errors import UserError, nearest

Kind = Literal["counts", "normalised", "log_normalised"]
CELL_TOTAL = 1e4
LARGEST_LOG_VALUE = 30.0  # log1p of 1e13: no log-normalised value is above it


@dataclass(frozen=True)
class Expression:
    """The chosen matrix: cells x genes CSR, its genes' table, its origin, and what it holds."""

    matrix: sparse.csr_matrix
    genes: pd.DataFrame
    origin: str
    kind: Kind


def choose_expression(cells: ad.AnnData, layer: str | None = None) -> Expression:
    """Choose the matrix that holds the expression.

    Parameters
    ----------
    cells
        As read: any dtype, dense, CSR or CSC.
    layer
        Name of a layer that must be used; without it the fixed order is tried.

    Returns
    -------
    Expression
        Values are finite and not negative; duplicate entries summed, explicit zeros removed.

    Raises
    ------
    UserError
        No matrix is usable: not finite, negative everywhere, not numeric, all zero.
    """
    candidates = _candidates(cells, layer)
    faults = {origin: _fault(matrix) for origin, (matrix, _) in candidates.items()}
    usable = {origin: candidates[origin] for origin in candidates if not faults[origin]}
    integer = [origin for origin in usable if _is_integer(usable[origin][0])]
    # A layer named "counts" that is no counts must not pass for a log-normalised matrix.
    ranked = [origin for origin in usable if layer or origin != f"layers[{COUNTS_LAYER}]"]
    origin = next(iter(integer or ranked), None)
    if origin is None:
        raise _nothing_usable(faults)
    matrix, genes = usable[origin]
    # A copy, since the next two work in place and the cells are the caller's.
    csr = sparse.csr_matrix(matrix, dtype=np.float32, copy=True)
    csr.sum_duplicates()
    csr.eliminate_zeros()
    return Expression(csr, genes, origin, _kind(csr, bool(integer)))


def log_normalise(expression: Expression) -> sparse.csr_matrix:
    """Return log1p of counts scaled to 10,000 a cell (natural logarithm), float32 CSR.

    The total of a cell is taken over all genes of the file, whether or not the vocabulary knows
    them. A matrix that is log-normalised already comes back as it is; an empty cell stays empty.
    """
    matrix = expression.matrix.copy()
    if expression.kind == "log_normalised":
        return matrix
    totals = np.asarray(matrix.sum(axis=1, dtype=np.float64)).ravel()
    scale = np.divide(CELL_TOTAL, totals, out=np.zeros_like(totals), where=totals > 0)
    matrix.data = np.log1p(matrix.data * np.repeat(scale, np.diff(matrix.indptr))).astype(
        np.float32
    )
    return matrix


def _candidates(cells: ad.AnnData, layer: str | None) -> dict[str, tuple]:
    if layer is not None:
        if layer not in cells.layers:
            raise UserError(
                "layer-missing",
                found=f"no layer '{layer}'",
                expected=f"one of the layers: {', '.join(cells.layers) or 'none in this file'}",
                mend="name a layer of the file, or none" + nearest(layer, cells.layers),
            )
        return {f"layers[{layer}]": (cells.layers[layer], cells.var)}
    found: dict[str, tuple] = {}
    if COUNTS_LAYER in cells.layers:
        found[f"layers[{COUNTS_LAYER}]"] = (cells.layers[COUNTS_LAYER], cells.var)
    if cells.raw is not None:
        found["raw.X"] = (cells.raw.X, cells.raw.var)
    if cells.X is not None:
        found["X"] = (cells.X, cells.var)
    return found


def _values(matrix: np.ndarray | sparse.spmatrix) -> np.ndarray:
    return matrix.data if sparse.issparse(matrix) else np.asarray(matrix)


def _fault(matrix: np.ndarray | sparse.spmatrix) -> str:
    """Say why a matrix cannot be used, or nothing."""
    values = _values(matrix)
    if not (np.issubdtype(values.dtype, np.number) or values.dtype == bool):
        return f"holds {values.dtype}, not numbers"
    if np.iscomplexobj(values):
        return "holds complex numbers"
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        return f"holds {bad:,} NaN or infinite values"
    if values.size and values.min() < 0:
        return f"holds negative values (smallest {values.min():.3g}): scaled or centred"
    if not values.size or values.max() == 0:
        return "is zero everywhere"
    if values.max() > np.finfo(np.float32).max:
        return f"holds values up to {values.max():.3g}, too large for float32"
    return ""


def _is_integer(matrix: np.ndarray | sparse.spmatrix) -> bool:
    values = _values(matrix)
    return values.dtype.kind in "iub" or bool((values == np.rint(values)).all())


def _kind(matrix: sparse.csr_matrix, integer: bool) -> Kind:
    if integer:
        return "counts"
    return "log_normalised" if matrix.data.max() <= LARGEST_LOG_VALUE else "normalised"


def _nothing_usable(faults: dict[str, str]) -> UserError:
    return UserError(
        "matrix-unusable",
        found="; ".join(
            f"{origin} {fault or 'holds no counts'}" for origin, fault in faults.items()
        )
        or "no matrix",
        expected="counts, or log-normalised values, that are finite and not negative",
        mend='keep the counts in layers["counts"] or raw before scaling, and save the file again',
    )
