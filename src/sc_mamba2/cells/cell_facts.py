"""What every cell's values are like, seen under the inverse of each function that counts may have gone through.

`scale` decides by it what the values of a matrix are. Letters of array names: C cells, T functions.
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

    Parameters
    ----------
    size_C
        Values above 0.
    whole_C
        Whether all are whole.
    least_C, most_C
        The smallest and the largest one.
    tail_C
        How many times the median the largest is.
    large_C, whole_large_C, tenths_C
        Values above 1.5, those of them that are whole, and all that are whole tenths.
    near_C, ones_C, turn_C
        Values near 1 and 2 that are not whole, those of them near 1, and the sum of ``exp(2 pi i value)`` of
        both, which is long where their decimals are alike.
    ties_C, full_C
        Values that equal the smallest one; whether no gene is 0, of `MANY_GENES` at least.
    sums_CT, units_CT, told_CT, evidence_CT
        Of values under each inverse: their sum; the smallest; how many distinct ones can tell a multiple
        of it; their evidence, ``log(0.5 / distance from a whole multiple)``. Whole numbers are no logarithms
        and tell nothing of a function. These, and what stands from `tail_C` on, are 0 where all are whole and
        begin below `FIRST`.
    """

    size_C: np.ndarray
    whole_C: np.ndarray
    least_C: np.ndarray
    most_C: np.ndarray
    tail_C: np.ndarray
    large_C: np.ndarray
    whole_large_C: np.ndarray
    tenths_C: np.ndarray
    near_C: np.ndarray
    ones_C: np.ndarray
    turn_C: np.ndarray
    ties_C: np.ndarray
    full_C: np.ndarray
    sums_CT: np.ndarray
    units_CT: np.ndarray
    told_CT: np.ndarray
    evidence_CT: np.ndarray

    @classmethod
    def join(cls, parts: Iterable["CellFacts"]) -> "CellFacts":
        """Put the facts of parts behind each other."""
        parts = list(parts)
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def take(self, cells: np.ndarray) -> "CellFacts":
        """Return the facts of some cells."""
        return CellFacts(*(getattr(self, field.name)[cells] for field in fields(self)))


def look_at_cells(matrix: sparse.csr_matrix) -> CellFacts:
    """Gather the facts of the cells of a clean matrix: finite, not negative, no zeros stored."""
    size_C = np.diff(matrix.indptr)
    full = np.flatnonzero(size_C)
    whole_C = np.ones(len(size_C), bool)
    least_C, most_C = np.zeros((2, len(size_C)))
    found = {
        name: np.zeros((len(size_C), len(INVERSES)) if name.endswith("_CT") else len(size_C), kind)
        for name, kind in (
            ("tail_C", float),
            ("large_C", int),
            ("whole_large_C", int),
            ("tenths_C", int),
            ("near_C", int),
            ("ones_C", int),
            ("ties_C", int),
            ("turn_C", complex),
            ("sums_CT", float),
            ("units_CT", float),
            ("told_CT", int),
            ("evidence_CT", float),
        )
    }
    whole = matrix.data == np.rint(matrix.data)
    whole_C[full] = _sums(whole, matrix.indptr[full]) == size_C[full]
    least_C[full] = np.minimum.reduceat(matrix.data, matrix.indptr[full])
    most_C[full] = np.maximum.reduceat(matrix.data, matrix.indptr[full])
    broken = np.flatnonzero(~whole_C | (least_C >= FIRST))
    if len(broken):
        values, times, starts = _distinct(matrix[broken])
        places = np.diff(np.append(starts, len(values)))  # distinct values a cell
        ends = np.cumsum(times)
        middle = np.searchsorted(ends, ends[starts] - times[starts] + size_C[broken] / 2)
        found["tail_C"][broken] = most_C[broken] / values[middle]
        large = values > RATIOS[0]
        found["large_C"][broken] = _sums(large * times, starts)
        found["whole_large_C"][broken] = _sums(large * (values == np.rint(values)) * times, starts)
        tenths = np.abs(10 * values - np.rint(10 * values)) <= 1e-6 * (1 + 10 * values)
        found["tenths_C"][broken] = _sums(tenths * times, starts)
        near = (values > 0.5) & (values < 2.5) & (values != np.rint(values))
        found["ones_C"][broken] = _sums(near * (values < 1.5) * times, starts)
        found["near_C"][broken] = _sums(near * times, starts)
        found["turn_C"][broken] = _sums(np.exp(2j * np.pi * values) * near * times, starts)
        own_whole = np.repeat(whole_C[broken], places)
        few_whole = own_whole & (np.repeat(least_C[broken], places) < FEWEST)
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
                plain_sums = _sums(plain * times, starts)
                found["sums_CT"][broken, place] = np.where(
                    whole_C[broken] & (place > 0), np.inf, plain_sums
                )
            found["units_CT"][broken, place] = units
            found["told_CT"][broken, place] = _sums(tells, starts)
            found["evidence_CT"][broken, place] = _sums(evidence, starts)
    found["ties_C"][full] = _sums(matrix.data == np.repeat(least_C, size_C), matrix.indptr[full])
    found["full_C"] = size_C == max(matrix.shape[1], MANY_GENES)
    return CellFacts(size_C, whole_C, least_C, most_C, **found)


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
