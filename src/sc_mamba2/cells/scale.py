"""The scale of a matrix: counts, counts with decimals, normalised values, or a function of these.

The largest value decides nothing. Counting leaves a trace: under the inverse of the right function, a
cell's values are whole multiples of its smallest one, or all cells have the same sum. Every cell is
examined, so that a matrix that mixes two scales is detected.

Letters of array names: C cells, O cells that are not plain counts, T functions.
"""

from dataclasses import dataclass
from typing import get_args

import numpy as np
from scipy import sparse

from sc_mamba2.cells.cell_facts import (
    EXACT,
    FIRST,
    INVERSES,
    MANY_GENES,
    MIN_VALUES,
    OF_FLOAT32,
    CellFacts,
)
from sc_mamba2.cells.keys import Kind
from sc_mamba2.errors import UserError

CELL_TOTAL = 1e4

PLAIN, LOG1P = "x", "log1p(x)"
SURE, SURE_OF_A_CELL = 6.0, 8.0  # standard deviations by which evidence must exceed chance
CLEAR, CHANCE = 2.5, 1.8  # mean evidence per value, in nats: for a fit, against one; chance gives 1
ALIKE = 1.0  # difference in evidence of equally good fits: squares of multiples are multiples
NEAR = 5e-3  # relative difference of sums of the same total, after some genes were removed
EXACT_SUM = 1e-3  # the same where the sums are the only evidence
MANY_TIES = 0.2  # share of values equal to the smallest of their cell
MAX_TOTALS = 3  # in one matrix, such as one per batch
SAME = 0.9  # share of cells that must agree
LARGEST_LOG_SUM = 1e7  # no log-normalised cell has a larger sum of expm1
MIN_DISTINCT_VALUES = 5  # informative distinct values needed to judge a cell
MIN_CELLS, SOME_CELLS = 1e-3, 0.05  # shares of cells, on other and main scale, not due to chance
WHOLE_SHARE = 0.1  # share of whole values among counts with decimals: logarithms have none
NEAR_WHOLE = 0.5  # concentration of the fractional parts of slightly reduced counts
CELLS_FOR_A_TOTAL, MIN_UNITS = 40, 5  # shallowest cells used for a total: at most, at least
MAX_MOLECULES = 50_000  # in the shallowest cell
FEW_MOLECULES, SOME = 5_000, 0.3  # molecules and share of cells at which agreement is not chance
UNSURE = 0.03  # tolerance around a whole number of molecules
TAIL = 10  # ratio of a cell's largest count to its median
EVEN = 10  # smallest shared maximum that means values were clipped, binned or ranked


@dataclass(frozen=True)
class Scale:
    """What values are, and how to convert them to counts per 10,000.

    Parameters
    ----------
    kind
        ``counts``, also with decimals; ``normalised``; ``log_normalised``: any other function.
    function
        Key of `INVERSES`: the function applied to the counts or to shares of them.
    total
        Sum over all genes of a cell before the function; ``None``: the cell's own sum.
    words
        What was found, for the report.
    remark
        What the user should know, or "".
    assumed
        Whether the total is only assumed to be the usual one.
    """

    kind: Kind
    function: str = PLAIN
    total: float | None = None
    words: str = ""
    remark: str = ""
    assumed: bool = False

    def log_normalise(self, matrix: sparse.csr_matrix) -> sparse.csr_matrix:
        """Return log1p of values scaled to 10,000 per cell (natural logarithm), float32 CSR.

        Values already on that scale are copied unchanged; an empty cell stays empty.
        """
        matrix = matrix.copy()
        if self.function == LOG1P and self.total == CELL_TOTAL:
            return matrix
        values = INVERSES[self.function](matrix.data.astype(np.float64))
        if self.total is None:
            parts = sparse.csr_matrix((values, matrix.indices, matrix.indptr), matrix.shape)
            totals = np.asarray(parts.sum(axis=1)).ravel()
        else:
            totals = np.full(matrix.shape[0], self.total)
        scale = np.divide(CELL_TOTAL, totals, out=np.zeros_like(totals), where=totals > 0)
        matrix.data = np.log1p(values * np.repeat(scale, np.diff(matrix.indptr)))
        matrix.data = matrix.data.astype(np.float32)
        return matrix


DECLARED: dict[str, Scale] = {
    "counts": Scale("counts", words="counts, as specified"),
    "normalised": Scale("normalised", words="normalised values, as specified"),
    "log_normalised": Scale(
        "log_normalised", LOG1P, CELL_TOTAL, "log1p of 10,000 per cell, as specified"
    ),
}
assert set(DECLARED) == set(get_args(Kind))


def decide_scale(facts: CellFacts) -> Scale:
    """Decide the scale of the values of some cells.

    Raises
    ------
    UserError
        ``matrix-scale``: no known scale fits. ``matrix-mixed``: cells on two scales.
    """
    facts = facts.take(facts.size_C > 0)
    if not len(facts.size_C):
        return Scale("counts", words="counts")
    _refuse_no_counts(facts)
    # Whole numbers that start high are not counts if nearly all cells do so, with more genes than a panel.
    judged_C = facts.whole_C & (facts.size_C >= MIN_VALUES)
    high_C = judged_C & (facts.least_C >= FIRST)
    many = high_C.any() and np.median(facts.size_C[high_C]) >= MANY_GENES
    plain_C = facts.whole_C & ~(high_C & bool(many and high_C.sum() > SAME * judged_C.sum()))
    rest = facts.take(~plain_C)
    if not len(rest.size_C):
        return Scale("counts", words="counts")
    scale = _scale_of_decimals(rest)
    sure = plain_C & (facts.size_C >= MIN_VALUES)
    if scale.function != PLAIN and sure.any():  # logarithms are not whole
        raise _mixed("counts", int(sure.sum()), scale.words, len(rest.size_C))
    return scale


def _refuse_no_counts(facts: CellFacts) -> None:
    """Refuse values with a constant added, and whole numbers with the same maximum in nearly all cells."""
    cells, reason = len(facts.size_C), ""
    many_C = facts.whole_C & (facts.size_C >= MANY_GENES)
    values, times = np.unique(facts.most_C[many_C], return_counts=True)
    if (facts.full_C & (facts.ties_C > facts.size_C / 4)).mean() > SAME:
        reason = "every gene of every cell above 0, many at the cell's smallest value, as if it was added to all"
    elif times.max(initial=0) >= max(MIN_VALUES, SAME * cells) and values[times.argmax()] >= EVEN:
        reason = (
            f"whole numbers whose largest is {values[times.argmax()]:,.0f} in {times.max():,} of {cells:,} cells: "
            "they were binned, ranked or clipped, or the cells are copies of one cell"
        )
    if reason:
        raise UserError(
            "matrix-scale",
            found=reason,
            expected="counts, most of them 0, whose maximum differs between cells",
            mend=_declare_hint("counts"),
        )


def _scale_of_decimals(facts: CellFacts) -> Scale:
    """Decide the scale of cells none of which is plain counts."""
    functions = list(INVERSES)
    totals = [find_totals(facts.sums_OT[:, place]) for place in range(len(functions))]
    fits_OT = _fits(facts.usable_OT, facts.evidence_OT)
    sure_OT: np.ndarray = _fits(facts.usable_OT, facts.evidence_OT, SURE_OF_A_CELL)
    sure_OT &= facts.usable_OT >= MIN_DISTINCT_VALUES
    # Where many values are whole, a fit is chance.
    few_whole_O = (facts.whole_large_O <= facts.large_O / 2) | (facts.large_O < MIN_VALUES)
    sure_OT &= few_whole_O[:, None]
    _refuse_several(facts, fits_OT, sure_OT, totals)
    if (place := _best_by_units(facts, fits_OT)) is not None:
        if functions[place] == PLAIN and np.allclose(facts.units_OT[:, place], 1, rtol=EXACT):
            return Scale("counts", words="counts with decimals", remark="most values are whole")
        against = _against(facts, fits_OT, place) & ~totals[place].holds
        if against.any() and not against.all():
            raise _mixed(
                _words(functions[place]),
                int((~against).sum()),
                "something else",
                int(against.sum()),
            )
        if totals[place].known:
            return _of_totals(functions[place], totals[place].values)
        return _of_units(functions[place], facts, fits_OT[:, place], place)
    # Ties within a cell point to counts; equal sums alone could then come from other steps.
    tied = facts.ties_C.sum() > MANY_TIES * facts.size_C.sum() > MANY_TIES * MIN_VALUES
    same = [at for at, total in enumerate(totals) if total.known and total.spread < EXACT_SUM]
    if same and not tied:
        place = min(same, key=lambda at: totals[at].spread)
        return _of_totals(functions[place], totals[place].values)
    log = functions.index(LOG1P)
    logged = np.asarray(sure_OT[:, 1:].any(axis=1))
    if len(logged) >= MIN_VALUES:
        logged |= totals[log].exact
    if SOME_CELLS < logged.mean() < 1:
        raise _mixed(
            "a function of counts", int(logged.sum()), "something else", int((~logged).sum())
        )
    sums = facts.sums_OT[:, log]
    if why := _why_counts(facts, sums):
        words = "counts" if facts.whole_C.all() else "counts with decimals"
        return Scale("counts", words=words, remark=why)
    first = f"{facts.units_OT[:, 0].min():.3g}"
    raise UserError(
        "matrix-scale",
        found=f"whole numbers from {first} that are not counts: they start above 1 and are not multiples of it"
        if facts.whole_C.all()
        else f"values from {first} that are not counts, with a sum of expm1 from {sums.min():.4g} to "
        f"{sums.max():.4g} per cell",
        expected="counts, or a function of counts with the same total per cell, such as log1p of 10,000",
        mend=_declare_hint("log_normalised (log1p of 10,000 per cell), normalised or counts"),
    )


def _declare_hint(kinds: str) -> str:
    return (
        f'keep the counts in layers["counts"]; or, if you know what the values are, set it: --params '
        f"ingestion.holds={kinds}; scm validate --holds; for a corpus pretraining.corpus.holds"
    )


def _refuse_several(
    facts: CellFacts, fits_OT: np.ndarray, sure_OT: np.ndarray, totals: "list[Totals]"
) -> None:
    """Refuse a matrix in which some cells clearly are one function of counts, and some another."""
    mean = np.where(sure_OT, facts.evidence_OT / np.maximum(facts.usable_OT, 1), -np.inf)
    # Squares of whole numbers are whole: among equally good fits the first function wins.
    best_O = (mean >= mean.max(axis=1, keepdims=True) - ALIKE).argmax(axis=1)
    counts_T = np.bincount(best_O[sure_OT.any(axis=1)], minlength=len(INVERSES))
    first = int(counts_T.argmax())
    others_O = sure_OT.any(axis=1) & ~fits_OT[:, first] & ~totals[first].holds
    cells = len(facts.size_C)
    if counts_T[first] > SOME_CELLS * cells and others_O.sum() > MIN_CELLS * cells:
        names = [_words(name) for name in INVERSES]
        other = names[int(np.bincount(best_O[others_O]).argmax())]
        raise _mixed(names[first], int(counts_T[first]), other, int(others_O.sum()))


@dataclass(frozen=True, eq=False)
class Totals:
    """The few totals that cells' sums take, the cells that have one, and the spread around them."""

    values: tuple[float, ...]
    holds: np.ndarray
    exact: np.ndarray
    spread: float
    known: bool


def find_totals(sums_C: np.ndarray) -> Totals:
    """Find the few totals that nearly all cells' sums equal, each shared by at least 5% of the cells.

    The sum of a single cell is a total if it is a power of ten.
    """
    with np.errstate(divide="ignore"):
        logs = np.log(sums_C)
    if len(logs) == 1:
        tens = logs[0] / np.log(10)
        known = bool(np.isfinite(tens) and abs(tens - round(tens)) < EXACT)
        return Totals((float(sums_C[0]),), np.array([known]), np.array([known]), 0.0, known)
    left = np.isfinite(logs)
    found, spread = [], []
    holds, exact = np.zeros(len(logs), bool), np.zeros(len(logs), bool)
    for _ in range(MAX_TOTALS):
        ordered = np.sort(logs[left])
        if len(ordered) < 2:
            break
        ends = np.searchsorted(ordered, ordered + NEAR, side="right")
        best = int(np.argmax(ends - np.arange(len(ordered))))
        inside = ordered[best : ends[best]]
        if len(inside) < max(2, len(logs) / 20):
            break
        middle = float(np.median(inside))
        own = left & (np.abs(logs - middle) <= 2 * NEAR)
        found.append(float(np.exp(middle)))
        spread.append(np.abs(logs[own] - middle))
        holds, left = holds | own, left & ~own
        exact |= own & (np.abs(logs - middle) <= EXACT)
    # Among a handful of cells, some sums are close by chance.
    close = float(np.mean(np.concatenate(spread))) if spread else np.inf
    if close < NEAR and len(found) == 1 and found[0] > 90:
        tens = np.log10(found[0])
        close = min(close, EXACT_SUM / 2) if abs(tens - round(tens)) < EXACT_SUM else close
    known = holds.mean() >= SAME and (
        len(logs) >= MIN_VALUES or (len(found) == 1 and close < EXACT)
    )
    return Totals(tuple(found), holds, exact, close, bool(known))


def _fits(usable: np.ndarray, evidence: np.ndarray, sure: float = SURE) -> np.ndarray:
    """Whether values are whole multiples of a unit, with evidence beyond chance (mean 1, variance 1)."""
    usable = np.maximum(usable, 1)
    return (evidence - usable >= sure * np.sqrt(usable)) & (evidence >= CLEAR * usable)


def _best_by_units(facts: CellFacts, fits_OT: np.ndarray) -> int | None:
    """Return the function under whose inverse nearly all informative cells are multiples of a unit, if any."""
    usable_T, evidence_T = facts.usable_OT.sum(axis=0), facts.evidence_OT.sum(axis=0)
    mean_T = evidence_T / np.maximum(usable_T, 1)
    place = int(np.argmax(mean_T >= mean_T.max() - ALIKE))
    can_O = facts.usable_OT[:, place] >= MIN_DISTINCT_VALUES
    most = not can_O.any() or fits_OT[can_O, place].mean() >= SAME
    return place if _fits(usable_T, evidence_T)[place] and most else None


def _against(facts: CellFacts, fits_OT: np.ndarray, place: int) -> np.ndarray:
    """Whether each cell clearly contradicts a function: not multiples of a unit, or too large for logarithms."""
    usable, evidence = facts.usable_OT[:, place], facts.evidence_OT[:, place]
    chance = ~fits_OT[:, place] & (usable >= MIN_DISTINCT_VALUES) & (evidence < CHANCE * usable)
    large = facts.sums_OT[:, place] > LARGEST_LOG_SUM if place else np.zeros(len(usable), bool)
    return chance | large


def _why_counts(facts: CellFacts, log_sums_O: np.ndarray) -> str:
    """Return why values with decimals are counts, or ""."""
    low = facts.take(facts.least_C < FIRST)
    large, whole = low.large_O.sum(), low.whole_large_O.sum()
    # A tenth of all values rounded to tenths is whole.
    share = WHOLE_SHARE if low.tenths_O.sum() < 0.9 * low.size_C.sum() else 0.5
    if whole >= max(MIN_VALUES, share * large):
        return f"{whole / large:.0%} of the values above 1 are whole"
    turn = low.turn_O.sum() / max(1, low.near_O.sum())
    both = large > facts.size_C.sum() / 20 and low.ones_O.sum() > low.near_O.sum() / 5
    if both and np.abs(turn) >= NEAR_WHOLE and np.real(turn) > 0:
        return "the values lie near whole numbers"
    tails = facts.tail_O[facts.size_C >= MIN_VALUES]
    if (log_sums_O > LARGEST_LOG_SUM).mean() > 0.5 and (not len(tails) or np.median(tails) >= TAIL):
        return "the values are too large for logarithms"
    return ""


def _of_totals(function: str, totals: tuple[float, ...]) -> Scale:
    kind: Kind = "normalised" if function == PLAIN else "log_normalised"
    shown = " or ".join(f"{total:,.4g}" for total in sorted(totals))
    words = f"{_words(function)}, with a total of {shown} per cell"
    if function == LOG1P and len(totals) == 1 and abs(totals[0] / CELL_TOTAL - 1) < 2 * NEAR:
        return Scale(kind, function, CELL_TOTAL, words)
    return Scale(kind, function, None, words, "converted to log1p of 10,000 per cell")


def _of_units(function: str, facts: CellFacts, fits_C: np.ndarray, place: int) -> Scale:
    """Return the scale of multiples of a unit: unscaled counts, part of a total, or a factor per cell."""
    kind: Kind = "normalised" if function == PLAIN else "log_normalised"
    words, units_C = _words(function), facts.units_OT[fits_C, place]
    if np.allclose(units_C, 1, rtol=EXACT):
        words = f"{words} of unscaled counts"
        return Scale(kind, function, None, words, "scaled to 10,000 per cell first")
    usable, evidence = facts.usable_OT[:, place].sum(), facts.evidence_OT[:, place].sum()
    rounded = evidence < OF_FLOAT32 * usable or len(units_C) < MIN_VALUES
    total, holds = (None, fits_C) if rounded else find_common_total(units_C)
    if total is not None:
        words = f"{words} with a total of {total:,g} per cell, of which some genes are missing"
        if holds.mean() < SAME:
            raise _mixed(words, int(holds.sum()), "another total", int((~holds).sum()))
        rescaled = function != LOG1P or total != CELL_TOTAL
        return Scale(
            kind, function, total, words, "converted to log1p of 10,000" if rescaled else ""
        )
    if function == LOG1P and rounded and facts.sums_OT[:, place].max() <= CELL_TOTAL * (1 + NEAR):
        words = f"{words} with an unknown total, of which some genes are missing"
        assumption = "assumed to be the usual 10,000 per cell"
        return Scale(kind, function, CELL_TOTAL, words, assumption, assumed=True)
    words = f"{words} of counts, with a different factor for each cell"
    return Scale(kind, function, None, words, "scaled to 10,000 over the file's genes")


def find_common_total(units_C: np.ndarray) -> tuple[float | None, np.ndarray]:
    """Find the total T such that T / unit, a cell's number of molecules, is whole for each cell.

    Returns
    -------
    total
        The smallest one, powers of ten first; ``None`` if there is none up to `MAX_MOLECULES` molecules
        in the shallowest cell, or there are too few cells.
    holds
        (C,) bool, the cells that agree.
    """
    units = np.sort(np.unique(np.float32(units_C)).astype(np.float64))[::-1]
    units = units[: max(MIN_UNITS, len(units) // 2)]
    units = units[np.unique(np.linspace(0, len(units) - 1, CELLS_FOR_A_TOTAL).astype(int))]
    if len(units) < MIN_UNITS:
        return None, np.ones(len(units_C), bool)
    steps = np.arange(1, MAX_MOLECULES + 1)
    for some in (10.0 ** np.arange(2, 7), np.rint(2 * units[0] * steps) / 2):
        candidates = some[some > units[0]]
        good = _parts(candidates[:, None], units).mean(axis=1) >= SAME
        if good.any():
            total = float(candidates[np.argmax(good)])
            return total, _parts(total, units_C)
    # With two totals, most cells agree on neither, but many on one.
    for total in 10.0 ** np.arange(2, 7):
        holds = _parts(total, units_C) & (total / units_C < FEW_MOLECULES)
        if total > units[0] and holds.mean() > SOME:
            return float(total), holds
    return None, np.ones(len(units_C), bool)


def _parts(total: np.ndarray | float, units: np.ndarray) -> np.ndarray:
    """Whether a total is a whole multiple of each unit; units have a relative error of about 1e-6."""
    molecules = total / units
    unsure = UNSURE + 2e-6 * molecules
    known = (molecules > 1.5) & (molecules < MAX_MOLECULES)
    return known & (np.abs(molecules - np.rint(molecules)) <= unsure)


def _words(function: str) -> str:
    return "normalised values" if function == PLAIN else function


def _mixed(what: str, some: int, other: str, others: int) -> UserError:
    return UserError(
        "matrix-mixed",
        found=f"{some:,} cells with {what} and {others:,} with {other} in one matrix",
        expected="all cells on the same scale",
        mend="concatenate the counts of the cells, or name their layer: --layer",
    )
