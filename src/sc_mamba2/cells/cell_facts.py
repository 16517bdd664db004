"""Facts about each cell's values under the inverse of every function that counts may have gone through.

`scale` uses them to decide what a matrix holds. Letters of array names: C cells, O odd ones, T functions.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields

import numpy as np
from scipy import sparse

Values = np.ndarray
INVERSES: dict[str, Callable[[Values], Values]] = {
    "x": lambda values: values,
    "log1p(x)": np.expm1,
    "log2(x + 1)": lambda values: np.expm1(values * np.log(2)),
    "log10(x + 1)": lambda values: np.expm1(values * np.log(10)),
    "sqrt(x)": np.square,
    "arcsinh(x)": np.sinh,
}
RATIOS = (1.5, 20.5)  # range of multiples of the smallest value that are informative
EXACT = 1e-4  # distance from a whole number due to float32
OF_FLOAT32 = 8.0  # mean evidence at float32 precision; rounded values give less
FIRST = 2  # a cell's smallest count is below this
MANY_GENES = 50
MIN_VALUES = 10  # values needed to judge a cell


@dataclass(frozen=True, eq=False)
class CellFacts:
    """Facts about C cells; `join` concatenates those of parts.

    Nearly all cells of a count file hold whole numbers that start below `FIRST`; for these only a few bytes are
    kept. The fields from `tail_O` on describe the O other cells, in order.

    Parameters
    ----------
    size_C
        Number of values above 0.
    whole_C
        Whether all are whole.
    least_C, most_C
        The smallest and the largest one.
    ties_C, full_C
        Number of values equal to the smallest; whether no gene is 0, of at least `MANY_GENES`.
    odd_C
        Whether the cell is one of the O.
    tail_O
        Largest value over the median.
    large_O, whole_large_O, tenths_O
        Numbers of values above 1.5, of whole ones among them, and of all multiples of 0.1.
    near_O, ones_O, turn_O
        Numbers of values near 1 or 2 that are not whole, and of those near 1; sum of ``exp(2 pi i value)``
        over the former, which is large in modulus where their fractional parts agree.
    sums_OT, units_OT, usable_OT, evidence_OT
        Under each inverse: sum of the values; the smallest; number of distinct ones informative about multiples
        of it; their evidence, ``log(0.5 / distance from a whole multiple)``. Whole numbers are not logarithms
        and say nothing about a function.
    """

    size_C: np.ndarray
    whole_C: np.ndarray
    least_C: np.ndarray
    most_C: np.ndarray
    ties_C: np.ndarray
    full_C: np.ndarray
    odd_C: np.ndarray
    tail_O: np.ndarray
    large_O: np.ndarray
    whole_large_O: np.ndarray
    tenths_O: np.ndarray
    near_O: np.ndarray
    ones_O: np.ndarray
    turn_O: np.ndarray
    sums_OT: np.ndarray
    units_OT: np.ndarray
    usable_OT: np.ndarray
    evidence_OT: np.ndarray

    @classmethod
    def join(cls, parts: Iterable["CellFacts"]) -> "CellFacts":
        """Concatenate the facts of parts."""
        parts = list(parts)
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def take(self, chosen_C: np.ndarray) -> "CellFacts":
        """Return the facts of the cells chosen by a mask."""
        odd_O = chosen_C[self.odd_C]
        return CellFacts(
            *(
                getattr(self, field.name)[chosen_C if field.name.endswith("_C") else odd_O]
                for field in fields(self)
            )
        )


def compute_cell_facts(matrix: sparse.csr_matrix) -> CellFacts:
    """Compute the facts of the cells of a clean matrix: finite, non-negative, no stored zeros."""
    size_C = np.diff(matrix.indptr).astype(np.int32)
    full = np.flatnonzero(size_C)
    starts = matrix.indptr[full]
    whole_C = np.ones(len(size_C), bool)
    least_C, most_C = np.zeros((2, len(size_C)), dtype=matrix.dtype)
    ties_C = np.zeros(len(size_C), dtype=np.int32)
    whole_C[full] = _sums(matrix.data == np.rint(matrix.data), starts) == size_C[full]
    least_C[full] = np.minimum.reduceat(matrix.data, starts)
    most_C[full] = np.maximum.reduceat(matrix.data, starts)
    ties_C[full] = _sums(matrix.data == np.repeat(least_C, size_C), starts)
    full_C = size_C == max(matrix.shape[1], MANY_GENES)
    odd_C = ~whole_C | (least_C >= FIRST)
    of_all = (size_C, whole_C, least_C, most_C, ties_C, full_C, odd_C)
    return CellFacts(*of_all, **_compute_ratio_facts(matrix[odd_C], whole_C[odd_C]))


def _compute_ratio_facts(matrix: sparse.csr_matrix, whole_O: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the facts of non-empty cells that are not plain counts."""
    if not matrix.shape[0]:
        names = [field.name for field in fields(CellFacts)]
        found = {name: np.zeros(0) for name in names if name.endswith("_O")}
        return found | {n: np.zeros((0, len(INVERSES))) for n in names if n.endswith("_OT")}
    size_O = np.diff(matrix.indptr)
    least_O = np.minimum.reduceat(matrix.data, matrix.indptr[:-1])
    most_O = np.maximum.reduceat(matrix.data, matrix.indptr[:-1])
    values, times, starts = _distinct(matrix)
    places = np.diff(np.append(starts, len(values)))  # distinct values per cell
    ends = np.cumsum(times)
    middle = np.searchsorted(ends, ends[starts] - times[starts] + size_O / 2)
    large = values > RATIOS[0]
    tenths = np.abs(10 * values - np.rint(10 * values)) <= 1e-6 * (1 + 10 * values)
    near = (values > 0.5) & (values < 2.5) & (values != np.rint(values))
    found = {
        "tail_O": most_O / values[middle],
        "large_O": _sums(large * times, starts),
        "whole_large_O": _sums(large * (values == np.rint(values)) * times, starts),
        "tenths_O": _sums(tenths * times, starts),
        "near_O": _sums(near * times, starts),
        "ones_O": _sums(near * (values < 1.5) * times, starts),
        "turn_O": _sums(np.exp(2j * np.pi * values) * near * times, starts),
    }
    own_whole = np.repeat(whole_O, places)
    few_whole = own_whole & (np.repeat(least_O, places) < MIN_VALUES)
    under: dict[str, list[np.ndarray]] = {
        name: [] for name in ("sums", "units", "usable", "evidence")
    }
    for place, inverse in enumerate(INVERSES.values()):
        with np.errstate(over="ignore", invalid="ignore"):
            plain = inverse(values)
            units = plain[starts]
            ratio = plain / np.repeat(units, places)
            informative = (ratio > RATIOS[0]) & (ratio < RATIOS[1])
            informative &= (place == 0) | ~own_whole
            away = np.abs(ratio - np.rint(ratio), out=np.ones_like(ratio), where=informative)
            evidence = np.where(informative, np.log(0.5 / np.maximum(away, EXACT)), 0)
            # Small whole numbers are often multiples by chance, so one that is not counts more.
            evidence[few_whole & informative & (away > EXACT)] = -OF_FLOAT32
            sums = _sums(plain * times, starts)
        under["sums"].append(np.where(whole_O & (place > 0), np.inf, sums))
        under["units"].append(units)
        under["usable"].append(_sums(informative, starts))
        under["evidence"].append(_sums(evidence, starts))
    return found | {f"{name}_OT": np.stack(parts, axis=1) for name, parts in under.items()}


def _distinct(matrix: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each row's sorted distinct values, how often each occurs, and where each row starts."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.data, rows))
    rows, values = rows[order], matrix.data[order].astype(np.float64)
    new = np.append(True, (np.diff(rows) > 0) | (np.diff(values) > 0))
    at = np.flatnonzero(new)
    times = np.diff(np.append(at, len(values)))
    return values[at], times, np.searchsorted(rows[at], np.arange(matrix.shape[0]))


def _sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    return np.add.reduceat(values.astype(np.result_type(values, np.int64)), starts)
