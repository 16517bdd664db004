"""Which matrix of an AnnData holds the expression, and what is known about it.

The order is fixed (architecture: "AnnData in"): the first matrix of counts among the named layer or
``layers["counts"]``, ``raw.X``, ``X``; else the first of these whose scale is known (`cells.scale`).
Matrices are scanned a block of cells at a time, so they can stay on disk.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from scipy import sparse

from sc_mamba2.cells.cell_facts import INVERSES, MIN_VALUES, CellFacts, compute_cell_facts
from sc_mamba2.cells.features import with_kinds_of
from sc_mamba2.cells.gene_columns import (
    FEW_KNOWN,
    GeneNames,
    best_known,
    gene_features,
    name_genes,
)
from sc_mamba2.cells.keys import COUNTS_LAYER, Kind
from sc_mamba2.cells.scale import DECLARED, Scale, decide_scale
from sc_mamba2.cells.source_check import missing_layer
from sc_mamba2.cells.stored import Rows, StoredCells, StoredMatrix
from sc_mamba2.errors import UserError
from sc_mamba2.genes import GeneTable

CELLS_PER_BLOCK = 4096
COMPARED = 512  # cells used to compare two matrices
RUNS = 8  # contiguous runs in which these are read
WHOLE_CELL = 0.98  # share of a cell's molecules from which counts cover all genes
MOSTLY_NUMBERS = 0.6  # share of names that are digits above which they are row numbers
SAME_PLACES = 0.6  # share of a cell's expressed genes that two matrices must have in common
TOTAL_COLUMNS = ("total_counts", "nCount_RNA", "n_counts", "nUMI", "n_umi")
LAYER = "layers[{}]"
RESULTS = "results-older"


@dataclass(frozen=True, eq=False)
class Candidate:
    """A matrix that may hold the expression, N cells x G columns, and the table of its columns.

    `origin` is its location, such as ``layers[counts]``; `measured` holds the columns that are genes,
    ``None`` for all.
    """

    origin: str
    matrix: StoredMatrix
    genes: pd.DataFrame
    measured: np.ndarray | None = None

    def read(self, start: int, stop: int) -> Rows:
        """Return the gene columns of some cells."""
        rows = self.matrix.read(start, stop)
        return rows if self.measured is None else rows[:, self.measured]

    @property
    def measured_genes(self) -> pd.DataFrame:
        """Table of the gene columns."""
        return self.genes if self.measured is None else self.genes.iloc[self.measured]


@dataclass(frozen=True, eq=False)
class Expression:
    """The matrix that holds the expression, with its scale, gene names and column sums."""

    candidate: Candidate
    scale: Scale
    names: GeneNames
    totals: np.ndarray
    foreign_share: np.ndarray  # (N,), share of a cell's expressed genes from another species
    remarks: list[dict[str, str]] = field(default_factory=list)


def choose_expression(
    cells: StoredCells,
    table: GeneTable,
    layer: str | None = None,
    holds: Kind | None = None,
    cells_a_block: int = CELLS_PER_BLOCK,
) -> Expression:
    """Choose the matrix that holds the expression.

    Parameters
    ----------
    cells
        As stored: any dtype, dense, CSR or CSC.
    table
        Gene table, to recognise whether a matrix has gene names.
    layer
        Matrix to use: a layer's name, ``X`` or ``raw``; ``None``: the first that fits in the fixed order.
    holds
        What the values are, if known; ``None``: inferred from their structure.
    cells_a_block
        Cells in memory at a time.

    Raises
    ------
    UserError
        ``layer-missing``; ``matrix-unusable``: none is finite, non-negative and not all zero;
        ``matrix-apart``: the counts and another matrix have different cells or genes;
        ``matrix-scale``, ``matrix-mixed``: see `decide_scale`.
    """
    remarks = _remark_results(cells.results)
    candidates = [_measured(found) for found in expression_candidates(cells, layer)]
    named = _with_names(candidates, table, remarks)
    chosen = _choose(named, layer, holds, cells_a_block)
    if layer is None and (whole := _whole_expression(chosen, named, remarks)) is not None:
        chosen = _choose([whole], layer, holds, cells_a_block)
    remarks += _remark_totals(chosen, cells.obs)
    if chosen.scale.remark:
        text = f"{chosen.candidate.origin} holds {chosen.scale.words}: {chosen.scale.remark}"
        remarks.append({"rule": "expression-scale", "remark": text})
    names = name_genes(chosen.candidate.measured_genes, table)
    share = _foreign_share(chosen.candidate, names, cells_a_block)
    return Expression(
        chosen.candidate, chosen.scale, names, chosen.totals, share, remarks + names.remarks()
    )


def _remark_results(results: tuple[str, ...]) -> list[dict[str, str]]:
    """Remark that the file holds earlier results, which new ones of the same name replace."""
    more = f" and {len(results) - 3:,} more" if len(results) > 3 else ""
    text = f"the file has earlier results ({', '.join(results[:3])}{more}); new ones of the same name replace them"
    return [{"rule": RESULTS, "remark": text}] if results else []


def expression_candidates(cells: StoredCells, layer: str | None = None) -> list[Candidate]:
    """Return the matrices that may hold the expression, in the fixed order; rule ``layer-missing``."""
    found = []
    if COUNTS_LAYER in cells.layers and layer is None:
        name = LAYER.format(COUNTS_LAYER)
        found.append(Candidate(name, cells.layers[COUNTS_LAYER], cells.var))
    if cells.raw is not None and cells.raw.X is not None:
        found.append(Candidate("raw.X", cells.raw.X, with_kinds_of(cells.raw.var, cells.var)))
    if cells.X is not None:
        found.append(Candidate("X", cells.X, cells.var))
    if layer is None:
        return found
    if layer in cells.layers:
        return [Candidate(LAYER.format(layer), cells.layers[layer], cells.var)]
    own = [one for one in found if layer in (one.origin, one.origin.removesuffix(".X"))]
    if not own:
        known = [*cells.layers, *(one.origin.removesuffix(".X") for one in found)]
        raise missing_layer(layer, known)
    return own


def clean_matrix(matrix: Rows) -> sparse.csr_matrix:
    """Return a float32 CSR copy with duplicate entries summed and explicit zeros removed."""
    # A copy: the next two calls work in place, and the matrix is the caller's.
    csr = sparse.csr_matrix(matrix, dtype=np.float32, copy=True)
    csr.sum_duplicates()
    csr.eliminate_zeros()
    return csr


def spans(cells: int, together: int) -> Iterator[tuple[int, int]]:
    """Yield the start and stop of each block of cells."""
    for start in range(0, cells, together):
        yield start, min(start + together, cells)


@dataclass(frozen=True)
class MatrixFacts:
    """Facts that decide whether a matrix is usable; facts of parts add up to those of the whole.

    `bad` counts NaN and infinite values; `whole` is whether all are integers. These and the smallest
    and largest value are computed for real numbers only.
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
        """Why the matrix cannot be used, or ""."""
        if self.dtype.kind == "c":
            return "holds complex numbers"
        if self.dtype.kind not in "iubf":
            return f"holds {self.dtype}, not numbers"
        if self.bad:
            return f"holds {self.bad:,} NaN or infinite values"
        if self.values and self.smallest < 0:
            small = self.dtype.kind == "i"
            why = "an integer type too small for the counts" if small else "scaled or centred"
            return f"holds negative values (smallest {self.smallest:.3g}): {why}"
        if not self.values or self.largest == 0:
            return "is zero everywhere"
        if self.largest > float(np.finfo(np.float32).max):
            return f"holds values up to {self.largest:.3g}, too large for float32"
        return ""


def compute_matrix_facts(matrix: Rows) -> MatrixFacts:
    """Compute the facts of the stored values of a matrix, or of some of its rows."""
    values = matrix.data if sparse.issparse(matrix) else np.asarray(matrix)
    if values.dtype.kind not in "iubf" or not values.size:
        return MatrixFacts(values.dtype, values.size)
    bad = int((~np.isfinite(values)).sum()) if values.dtype.kind == "f" else 0
    if bad:
        return MatrixFacts(values.dtype, values.size, bad, whole=False)
    whole = values.dtype.kind in "iub" or bool((values == np.rint(values)).all())
    smallest, largest = float(values.min()), float(values.max())
    return MatrixFacts(values.dtype, values.size, 0, smallest, largest, whole)


@dataclass(frozen=True, eq=False)
class _ScannedCandidate:
    """A scanned candidate: the scale of its values, or why it cannot be used."""

    candidate: Candidate
    totals: np.ndarray
    scale: Scale | None = None
    error: UserError | None = None
    fault: str = ""
    whole: bool = False


def _scan_candidate(candidate: Candidate, holds: Kind | None, together: int) -> _ScannedCandidate:
    facts = compute_matrix_facts(np.zeros(0))
    cells: list[CellFacts] = []
    totals = np.zeros(len(candidate.measured_genes))
    for start, stop in spans(candidate.matrix.shape[0], together):
        rows = candidate.read(start, stop)
        seen = compute_matrix_facts(rows)
        facts = seen if not start else facts + seen
        if not facts.fault or not facts.values:
            clean = clean_matrix(rows)
            totals += np.asarray(clean.sum(axis=0, dtype=np.float64)).ravel()
            if holds is None:
                cells.append(compute_cell_facts(clean))
    if facts.fault:
        return _ScannedCandidate(candidate, totals, fault=facts.fault)
    try:
        scale = DECLARED[holds] if holds else decide_scale(CellFacts.join(cells))
    except UserError as error:
        return _ScannedCandidate(candidate, totals, error=error, fault=f"holds {error.found}")
    if facts.largest == 1 and facts.whole and facts.values > COMPARED:
        words = "0 and 1 only"
        scale = Scale("counts", words=words, remark="genes are only detected or not, not counted")
    if facts.dtype.kind in "iu" and facts.largest == np.iinfo(facts.dtype).max:
        remark = f"its largest value is the maximum of {facts.dtype}: larger counts may be clipped"
        scale = replace(scale, remark=remark)
    return _ScannedCandidate(candidate, totals, scale, whole=facts.whole)


def _choose(
    candidates: list[Candidate], layer: str | None, holds: Kind | None, together: int
) -> "_ScannedCandidate":
    looked = []
    for candidate in candidates:
        looked.append(_scan_candidate(candidate, holds, together))
        if looked[-1].whole and looked[-1].scale and looked[-1].scale.kind == "counts":
            return looked[-1]  # the first counts win; later matrices are not read
    usable = [one for one in looked if one.scale is not None]
    counts = [one for one in usable if one.scale.kind == "counts"]
    # A layer named "counts" that holds none must not pass for a log-normalised matrix.
    others = [one for one in usable if layer or one.candidate.origin != LAYER.format(COUNTS_LAYER)]
    if counts or others:
        return (counts or others)[0]
    if errors := [one.error for one in looked if one.error is not None]:
        raise errors[-1]
    faults = [f"{one.candidate.origin} {one.fault or 'holds no counts'}" for one in looked]
    raise UserError(
        "matrix-unusable",
        found="; ".join(faults) or "no matrix",
        expected="counts or log-normalised values, finite and not negative",
        mend='keep the counts in layers["counts"] or raw before scaling, and save the file again',
    )


def _measured(candidate: Candidate) -> Candidate:
    columns = gene_features(candidate.genes)
    return Candidate(candidate.origin, candidate.matrix, candidate.genes, columns)


def _with_names(
    candidates: list[Candidate], table: GeneTable, remarks: list[dict[str, str]]
) -> list[Candidate]:
    """Rename or drop matrices that lost their gene names where another matrix has some; adds a remark."""
    if len(candidates) < 2:
        return candidates
    known = {one.origin: best_known(one.measured_genes, table) for one in candidates}
    found = []
    for one in candidates:
        if known[one.origin] > FEW_KNOWN or max(known.values()) <= FEW_KNOWN:
            found.append(one)
            continue
        other = next(other for other in candidates if known[other.origin] > FEW_KNOWN)
        if one.matrix.shape == other.matrix.shape and _same_support(one, other):
            found.append(Candidate(one.origin, one.matrix, other.genes, other.measured))
            text = f"{one.origin} has no gene names; those of {other.origin} were used"
        else:
            text = f"{one.origin} has no gene names and was not used"
        remarks.append({"rule": "genes-unnamed", "remark": text})
    return found


def _same_support(one: Candidate, other: Candidate) -> bool:
    """Whether two matrices are above 0 at the same positions in their first cells."""
    rows = min(COMPARED, one.matrix.shape[0])
    left, right = (clean_matrix(matrix.matrix.read(0, rows)) for matrix in (one, other))
    return bool(left.nnz and ((left > 0) != (right > 0)).nnz == 0)


def _whole_expression(
    chosen: _ScannedCandidate, candidates: list[Candidate], remarks: list[dict[str, str]]
) -> Candidate | None:
    """Return another matrix that was made from more molecules than the chosen counts hold, or ``None``.

    This happens where variable genes were selected after normalising: ``layers["counts"]`` then no longer
    gives a cell's total.
    """
    if chosen.scale is None or chosen.scale.kind != "counts":
        return None
    for other in candidates:
        if other.origin in (chosen.candidate.origin, LAYER.format(COUNTS_LAYER)):
            continue
        share = _share_of_molecules(chosen.candidate, other)
        if share is not None and share < WHOLE_CELL:
            text = (
                f"{chosen.candidate.origin} has {share:.0%} of the molecules from which {other.origin} was "
                f"made, so genes are missing from it; {other.origin} was used"
            )
            remarks.append({"rule": "counts-part", "remark": text})
            return other
    return None


def _share_of_molecules(counts: Candidate, other: Candidate) -> float | None:
    """Return the share of a cell's molecules that `counts` holds, judged by a normalised or fuller matrix.

    ``None`` where it cannot be computed. Rule ``matrix-apart``: the two express different genes.
    """
    genes = counts.measured_genes.index.intersection(other.measured_genes.index)
    if not len(genes) or not counts.measured_genes.index.is_unique:
        return None
    if pd.Series(genes).astype(str).str.fullmatch(r"\d+").mean() > MOSTLY_NUMBERS:
        return None  # row numbers are not names
    read = [_some_rows(one)[1] for one in (counts, other)]
    if not other.measured_genes.index.is_unique or compute_matrix_facts(read[1]).fault:
        return None
    try:
        scale = decide_scale(compute_cell_facts(read[1]))
    except UserError:
        return None
    if scale.assumed:
        return None
    plain = read[1].astype(np.float64)
    plain.data = INVERSES[scale.function](plain.data)
    sums = np.asarray(plain.sum(axis=1)).ravel() if scale.total is None else scale.total
    shares = sparse.diags_array(1 / np.maximum(sums * np.ones(plain.shape[0]), 1e-12)) @ plain
    place = {
        name: one.measured_genes.index.get_indexer(genes)
        for name, one in (("counts", counts), ("other", other))
    }
    own = read[0][:, place["counts"]].toarray().astype(np.float64)
    shares = shares.tocsr()[:, place["other"]].toarray()
    both = (own > 0) & (shares > 0)
    least = np.minimum((own > 0).sum(axis=1), (shares > 0).sum(axis=1))
    same = both.sum(axis=1)[least >= MIN_VALUES] / least[least >= MIN_VALUES]
    if len(same) and (overlap := np.median(same)) < SAME_PLACES:
        raise _apart(counts.origin, other.origin, overlap)
    if (
        scale.kind == "counts"
        and both.any()
        and (own != read[1][:, place["other"]].toarray())[both].mean() > 0.1
    ):
        return None  # counted in another way
    molecules = np.where(both, own / np.where(both, shares, 1), np.nan)[both.any(axis=1)]
    if not len(molecules):
        return None
    held = np.asarray(read[0].sum(axis=1)).ravel()[both.any(axis=1)]
    return float(np.median(held / np.nanmedian(molecules, axis=1)))


def _some_rows(candidate: Candidate) -> tuple[np.ndarray, sparse.csr_matrix]:
    """Read some cells in a few contiguous runs, since each read is costly; also return their row numbers."""
    cells, run = candidate.matrix.shape[0], COMPARED // RUNS
    starts = np.unique(np.linspace(0, max(0, cells - run), RUNS).astype(int))
    if cells <= COMPARED:
        starts, run = np.array([0]), cells
    rows = [np.arange(start, min(start + run, cells)) for start in starts]
    read = [clean_matrix(candidate.read(int(some[0]), int(some[-1]) + 1)) for some in rows]
    return np.concatenate(rows), sparse.vstack(read, format="csr")


def _apart(one: str, other: str, overlap: float) -> UserError:
    return UserError(
        "matrix-apart",
        found=f"{one} and {other}, which share {overlap:.0%} of the expressed genes of a cell",
        expected="the same cells and genes in the same order in all matrices",
        mend="one was reordered: drop it, or choose the right one with --layer",
    )


def _remark_totals(chosen: _ScannedCandidate, obs: pd.DataFrame) -> list[dict[str, str]]:
    """Remark that cells hold fewer counts than a column of `obs` states."""
    column = next((name for name in TOTAL_COLUMNS if (obs.columns == name).sum() == 1), None)
    scale = chosen.scale
    if column is None or scale is None or scale.kind != "counts" or scale.remark:
        return []
    if chosen.candidate.measured is not None:
        return []  # the column may also count features that are not genes
    rows, matrix = _some_rows(chosen.candidate)
    stated = pd.to_numeric(obs[column], errors="coerce").to_numpy(dtype=float)[rows]
    held = np.asarray(matrix.sum(axis=1)).ravel()[stated > 0] / stated[stated > 0]
    if not len(held) or (share := float(np.median(held))) >= WHOLE_CELL:
        return []
    text = (
        f"{chosen.candidate.origin} has {share:.0%} of the molecules counted in obs['{column}']: genes or "
        "molecules are missing, and its values are normalised to 10,000 over the remaining ones"
    )
    return [{"rule": "counts-part", "remark": text}]


def _foreign_share(candidate: Candidate, names: GeneNames, together: int) -> np.ndarray:
    """Return the share of each cell's expressed genes that are from another species."""
    cells = candidate.matrix.shape[0]
    if not names.foreign.any():
        return np.zeros(cells)
    parts = []
    for start, stop in spans(cells, together):
        expressed = clean_matrix(candidate.read(start, stop)) > 0
        foreign = np.asarray(expressed[:, names.foreign].sum(axis=1)).ravel()
        parts.append(foreign / np.maximum(1, np.diff(expressed.tocsr().indptr)))
    return np.concatenate(parts)
