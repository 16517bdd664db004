"""What every cell's values are like, seen under the inverse of each function that counts may have gone through.

`scale` decides by it what the values of a matrix are. Letters of array names: C cells, O odd ones, T functions.
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
RATIOS = (1.5, 20.5)  # multiples of the smallest value that tell a whole number from another
EXACT = 1e-4  # distance from a whole number that float32 leaves
OF_FLOAT32 = 8.0  # what float32 gives; values that were rounded give less
FIRST = 2  # counts begin below it
MANY_GENES = 50
FEWEST = 10  # values by which a cell is told from others


@dataclass(frozen=True, eq=False)
class CellFacts:
    """Facts of C cells; those of parts are put behind each other by `join`.

    Nearly all cells of a file of counts hold whole numbers that begin below `FIRST`. Of these a few bytes are
    kept; what stands from `tail_O` on is of the O others, in their order.

    Parameters
    ----------
    size_C
        Values above 0.
    whole_C
        Whether all are whole.
    least_C, most_C
        The smallest and the largest one.
    ties_C, full_C
        Values that equal the smallest one; whether no gene is 0, of `MANY_GENES` at least.
    odd_C
        Which are the others.
    tail_O
        How many times the median the largest is.
    large_O, whole_large_O, tenths_O
        Values above 1.5, those of them that are whole, and all that are whole tenths.
    near_O, ones_O, turn_O
        Values near 1 and 2 that are not whole, those of them near 1, and the sum of ``exp(2 pi i value)`` of
        both, which is long where their decimals are alike.
    sums_OT, units_OT, told_OT, evidence_OT
        Of values under each inverse: their sum; the smallest; how many distinct ones can tell a multiple
        of it; their evidence, ``log(0.5 / distance from a whole multiple)``. Whole numbers are no logarithms
        and tell nothing of a function.
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
    told_OT: np.ndarray
    evidence_OT: np.ndarray

    @classmethod
    def join(cls, parts: Iterable["CellFacts"]) -> "CellFacts":
        """Put the facts of parts behind each other."""
        parts = list(parts)
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def take(self, chosen_C: np.ndarray) -> "CellFacts":
        """Return the facts of some cells, by a mask."""
        odd_O = chosen_C[self.odd_C]
        return CellFacts(
            *(
                getattr(self, field.name)[chosen_C if field.name.endswith("_C") else odd_O]
                for field in fields(self)
            )
        )


def look_at_cells(matrix: sparse.csr_matrix) -> CellFacts:
    """Gather the facts of the cells of a clean matrix: finite, not negative, no zeros stored."""
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
    return CellFacts(*of_all, **_look_closer(matrix[odd_C], whole_C[odd_C]))


def _look_closer(matrix: sparse.csr_matrix, whole_O: np.ndarray) -> dict[str, np.ndarray]:
    """Gather the facts of cells that are no plain counts, each of which has values."""
    if not matrix.shape[0]:
        names = [field.name for field in fields(CellFacts)]
        found = {name: np.zeros(0) for name in names if name.endswith("_O")}
        return found | {n: np.zeros((0, len(INVERSES))) for n in names if n.endswith("_OT")}
    size_O = np.diff(matrix.indptr)
    least_O = np.minimum.reduceat(matrix.data, matrix.indptr[:-1])
    most_O = np.maximum.reduceat(matrix.data, matrix.indptr[:-1])
    values, times, starts = _distinct(matrix)
    places = np.diff(np.append(starts, len(values)))  # distinct values a cell
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
    few_whole = own_whole & (np.repeat(least_O, places) < FEWEST)
    under: dict[str, list[np.ndarray]] = {
        name: [] for name in ("sums", "units", "told", "evidence")
    }
    for place, inverse in enumerate(INVERSES.values()):
        with np.errstate(over="ignore", invalid="ignore"):
            plain = inverse(values)
            units = plain[starts]
            ratio = plain / np.repeat(units, places)
            tells = (ratio > RATIOS[0]) & (ratio < RATIOS[1])
            tells &= (place == 0) | ~own_whole
            away = np.abs(ratio - np.rint(ratio), out=np.ones_like(ratio), where=tells)
            evidence = np.where(tells, np.log(0.5 / np.maximum(away, EXACT)), 0)
            # Of small whole numbers many are multiples by chance: one that is none tells more.
            evidence[few_whole & tells & (away > EXACT)] = -OF_FLOAT32
            sums = _sums(plain * times, starts)
        under["sums"].append(np.where(whole_O & (place > 0), np.inf, sums))
        under["units"].append(units)
        under["told"].append(_sums(tells, starts))
        under["evidence"].append(_sums(evidence, starts))
    return found | {f"{name}_OT": np.stack(parts, axis=1) for name, parts in under.items()}


def _distinct(matrix: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the distinct values of each row in their order, how often each is there, and each row's start."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.data, rows))
    rows, values = rows[order], matrix.data[order].astype(np.float64)
    new = np.append(True, (np.diff(rows) > 0) | (np.diff(values) > 0))
    at = np.flatnonzero(new)
    times = np.diff(np.append(at, len(values)))
    return values[at], times, np.searchsorted(rows[at], np.arange(matrix.shape[0]))


def _sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    return np.add.reduceat(values.astype(np.result_type(values, np.int64)), starts)
