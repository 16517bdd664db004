"""Which matrix of an AnnData holds the expression, and its log-normalised form.

The order is fixed (architecture: "AnnData in"): the first integer matrix of the named layer or of
``layers["counts"]``, ``raw.X``, ``X``; else the first of ``raw.X``, ``X`` that is not negative.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

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
    candidates = expression_candidates(cells, layer)
    facts = {origin: look_at_values(matrix) for origin, (matrix, _) in candidates.items()}
    origin, kind = choose_origin(facts, layer)
    matrix, genes = candidates[origin]
    return Expression(clean_matrix(matrix), genes, origin, kind)


def choose_origin(facts: Mapping[str, "MatrixFacts"], layer: str | None) -> tuple[str, Kind]:
    """Choose the matrix that is the expression, and say what it holds, by facts of whole matrices.

    `facts` are in the order of preference, `layer` is the one that a person named. Where none is
    usable, rule ``matrix-unusable`` is raised.
    """
    usable = [origin for origin, seen in facts.items() if not seen.fault]
    integer = [origin for origin in usable if facts[origin].whole]
    # A layer named "counts" that is no counts must not pass for a log-normalised matrix.
    ranked = [origin for origin in usable if layer or origin != f"layers[{COUNTS_LAYER}]"]
    origin = next(iter(integer or ranked), None)
    if origin is None:
        faults = [f"{origin} {seen.fault or 'holds no counts'}" for origin, seen in facts.items()]
        raise UserError(
            "matrix-unusable",
            found="; ".join(faults) or "no matrix",
            expected="counts, or log-normalised values, that are finite and not negative",
            mend='keep the counts in layers["counts"] or raw before scaling, and save the file again',
        )
    if integer:
        return origin, "counts"
    logs = facts[origin].largest <= LARGEST_LOG_VALUE
    return origin, "log_normalised" if logs else "normalised"


def clean_matrix(matrix: np.ndarray | sparse.spmatrix) -> sparse.csr_matrix:
    """Return a float32 CSR copy, duplicate entries summed, explicit zeros removed."""
    # A copy, since the next two work in place and the cells are the caller's.
    csr = sparse.csr_matrix(matrix, dtype=np.float32, copy=True)
    csr.sum_duplicates()
    csr.eliminate_zeros()
    return csr


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
    scaled = matrix.data * np.repeat(scale, np.diff(matrix.indptr))
    matrix.data = np.log1p(scaled).astype(np.float32)
    return matrix


def expression_candidates(cells: Any, layer: str | None = None) -> dict[str, tuple]:
    """Give the matrices that may hold the expression, each with its genes, in the fixed order.

    `cells` has `X`, `var`, `raw` and `layers` as an AnnData has (`cells.stored`); `layer` must be
    used and be there (rule ``layer-missing``).
    """
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


@dataclass(frozen=True)
class MatrixFacts:
    """What decides whether a matrix is usable; facts of parts add up to those of the whole.

    `bad` counts NaN and infinite values, `whole` says that all are integers. Both, and the smallest
    and the largest value, are only looked for in real numbers.
    """

    dtype: np.dtype
    values: int = 0
    bad: int = 0
    smallest: float = np.inf
    largest: float = -np.inf
    whole: bool = True

    def __add__(self, other: "MatrixFacts") -> "MatrixFacts":
        return MatrixFacts(
            self.dtype,
            self.values + other.values,
            self.bad + other.bad,
            min(self.smallest, other.smallest),
            max(self.largest, other.largest),
            self.whole and other.whole,
        )

    @property
    def fault(self) -> str:
        """Why the matrix cannot be used, or nothing."""
        if self.dtype.kind == "c":
            return "holds complex numbers"
        if self.dtype.kind not in "iubf":
            return f"holds {self.dtype}, not numbers"
        if self.bad:
            return f"holds {self.bad:,} NaN or infinite values"
        if self.values and self.smallest < 0:
            return f"holds negative values (smallest {self.smallest:.3g}): scaled or centred"
        if not self.values or self.largest == 0:
            return "is zero everywhere"
        if self.largest > float(np.finfo(np.float32).max):
            return f"holds values up to {self.largest:.3g}, too large for float32"
        return ""


def look_at_values(matrix: np.ndarray | sparse.spmatrix) -> MatrixFacts:
    """Look at the stored values of a matrix, or of some of its rows."""
    values = matrix.data if sparse.issparse(matrix) else np.asarray(matrix)
    if values.dtype.kind not in "iubf" or not values.size:
        return MatrixFacts(values.dtype, values.size)
    bad = int((~np.isfinite(values)).sum()) if values.dtype.kind == "f" else 0
    if bad:
        return MatrixFacts(values.dtype, values.size, bad, whole=False)
    whole = values.dtype.kind in "iub" or bool((values == np.rint(values)).all())
    smallest, largest = float(values.min()), float(values.max())
    return MatrixFacts(values.dtype, values.size, 0, smallest, largest, whole)
