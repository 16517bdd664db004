"""Peaks: coordinates checked against a genome build; kept as they are, binned, or assigned to genes."""

from typing import Any, Literal

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from sc_mamba2.cells.expression import clean_matrix, compute_matrix_facts
from sc_mamba2.cells.features import PLACE, parse_places
from sc_mamba2.cells.keys import COUNTS_LAYER
from sc_mamba2.errors import UserError

PREFIX = "peak:"
MAX_OPEN, MANY_PEAKS = 0.8, 100  # largest share of values above 0, checked from so many peaks on
MAX_OUTSIDE_SHARE = 0.001  # share of peaks that may lie outside their chromosome
Features = Literal["peaks", "bins", "genes"]
_CHROMOSOMES = (*(f"chr{number}" for number in range(1, 23)), "chrX", "chrY")
# fmt: off
_HG38 = (
    248956422, 242193529, 198295559, 190214555, 181538259, 170805979, 159345973, 145138636, 138394717,
    133797422, 135086622, 133275309, 114364328, 107043718, 101991189, 90338345, 83257441, 80373285,
    58617616, 64444167, 46709983, 50818468, 156040895, 57227415,
)
_HG19 = (
    249250621, 243199373, 198022430, 191154276, 180915260, 171115067, 159138663, 146364022, 141213431,
    135534747, 135006516, 133851895, 115169878, 107349540, 102531392, 90354753, 81195210, 78077248,
    59128983, 63025520, 48129895, 51304566, 155270560, 59373566,
)
# fmt: on
BUILDS = {  # chromosome lengths in bases
    "hg38": dict(zip(_CHROMOSOMES, _HG38, strict=True)),
    "hg19": dict(zip(_CHROMOSOMES, _HG19, strict=True)),
}


def standardise_peaks(
    cells: ad.AnnData,
    build: str,
    features: Features,
    bin_size: int,
    gene_distance: int,
    genes: pd.DataFrame,
) -> tuple[ad.AnnData, dict[str, Any]]:
    """Check peaks, and name their features.

    Parameters
    ----------
    cells
        N cells x P peaks named by coordinates, such as ``chr1:100-600``.
    build
        ``hg38`` or ``hg19``; at most `MAX_OUTSIDE_SHARE` of the peaks may lie outside its chromosomes.
    features
        ``peaks``: unchanged. ``bins``: peaks with midpoints in the same window of `bin_size` bases are merged.
        ``genes``: each peak goes to the nearest gene within `gene_distance` bases; others are dropped.
    bin_size, gene_distance
        Bases.
    genes
        Table of the RNA's features; for ``genes`` it must hold their positions, in ``interval``
        (``chr1:100-600``, as Cell Ranger ARC writes) or in ``chrom``, ``start``, ``end``.

    Returns
    -------
    cells
        ``X`` float32 CSR of 0 and 1: whether any peak of the feature is open. ``var`` named ``peak:…`` with
        ``chrom``, ``start``, ``end``.
    report
        JSON-able: number of peaks and of features, whether values were 0 and 1, remarks.

    Raises
    ------
    UserError
        ``peaks-values``, ``peaks-names``, ``peaks-contigs``, ``peaks-build``, ``peaks-genes``.
    """
    facts = compute_matrix_facts(matrix := cells.layers.get(COUNTS_LAYER, cells.X))
    if facts.fault:
        raise _no_peaks(facts.fault)
    clean = clean_matrix(matrix)
    open_share = clean.nnz / (clean.shape[0] * clean.shape[1])
    if open_share > MAX_OPEN and cells.n_vars >= MANY_PEAKS:
        raise _no_peaks(
            f"is above 0 in {open_share:.0%} of the places: smoothed, or the wrong way round"
        )
    places = parse_coordinates(cells.var_names)
    kept, remarks = _kept_places(places, build)
    places, binary = places[kept], clean[:, kept]
    if facts.largest > 1 or not facts.whole:
        text = f"peaks have values up to {facts.largest:.3g}; any value above 0 counts as open"
        remarks.append({"rule": "peaks-counts", "remark": text})
    binary.data[:] = 1
    groups, var = _grouped(places, features, bin_size, gene_distance, genes)
    if groups is not None:
        binary = _join(binary, groups, len(var))
    report = {"total": cells.n_vars, "kept": len(var), "binary": facts.largest <= 1}
    standard = ad.AnnData(X=binary, obs=cells.obs[[]].copy(), var=var)
    return standard, report | {"remarks": remarks}


def _no_peaks(fault: str) -> UserError:
    return UserError(
        "peaks-values",
        found=f"a peak matrix that {fault}",
        expected="0 and 1, or counts, most of them 0",
        mend='correct the matrix, or keep the counts in layers["counts"]',
    )


def parse_coordinates(names: pd.Index) -> pd.DataFrame:
    """Parse `PLACE` from names such as ``chr1:100-600`` or ``1_100_600``; rule ``peaks-names``."""
    parts = parse_places(names)
    bad = parts["chrom"].isna().to_numpy()
    if bad.any():
        raise UserError(
            "peaks-names",
            found=f"{int(bad.sum()):,} peaks without coordinates ({', '.join(names[bad][:3])})",
            expected="names such as chr1:100-600",
            mend="name the peaks by chromosome, start and end",
        )
    return _as_places(parts)


def _as_places(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_axis(list(PLACE), axis=1).astype({"start": np.int64, "end": np.int64})


def _kept_places(places: pd.DataFrame, build: str) -> tuple[np.ndarray, list[dict[str, str]]]:
    """Return which peaks are kept, and remarks on the others; rules ``peaks-build``, ``peaks-contigs``.

    Duplicates and peaks on contigs, scaffolds and chromosome M are dropped, and so are a few that end beyond
    their chromosome: peak callers extend past the end.
    """
    known = places["chrom"].isin(BUILDS[build]).to_numpy()
    if not known.any():
        raise UserError(
            "peaks-contigs",
            found=f"no peak on chromosomes 1 to 22, X and Y (e.g. on {places['chrom'].iloc[0]})",
            expected=f"peaks of the human genome {build}",
            mend="name the chromosomes chr1 to chr22, chrX and chrY",
        )
    bad = {name: known & _outside(places, name) for name in BUILDS}
    outside = bad[build]
    if outside.sum() > MAX_OUTSIDE_SHARE * known.sum():
        raise _wrong_build(places[outside], known.sum(), build, bad)
    again = places.duplicated().to_numpy() & known & ~outside
    reasons = {
        "peaks-contigs": (~known, f"peaks on contigs outside the chromosomes of {build}"),
        "peaks-outside": (outside, f"peaks that extend beyond the chromosomes of {build}"),
        "peaks-duplicate": (again, "duplicate peaks"),
    }
    remarks = [
        {"rule": rule, "remark": f"{int(aside.sum()):,} {words} were set aside"}
        for rule, (aside, words) in reasons.items()
        if aside.any()
    ]
    present = set(places["chrom"])
    if set(_CHROMOSOMES[:19]) <= present and not present & set(_CHROMOSOMES[19:22]):
        text = (
            f"no peak is on chromosomes 20 to 22: they may be from mouse, but are read as {build}"
        )
        remarks.append({"rule": "peaks-mouse", "remark": text})
    return known & ~outside & ~again, remarks


def _wrong_build(
    outside: pd.DataFrame, peaks: int, build: str, bad: dict[str, np.ndarray]
) -> UserError:
    first = outside.iloc[0]
    others = [name for name, wrong in bad.items() if wrong.sum() <= MAX_OUTSIDE_SHARE * peaks]
    return UserError(
        "peaks-build",
        found=f"{len(outside):,} of {peaks:,} peaks outside {build} (e.g. "
        f"{first['chrom']}:{first['start']}-{first['end']})",
        expected=f"coordinates within the chromosomes of {build}, start before end",
        mend=f"set multiomics.features.genome={others[0]}, which contains them"
        if others
        else "correct or drop them",
    )


def _outside(places: pd.DataFrame, build: str) -> np.ndarray:
    """Return which peaks end beyond their chromosome, or not after their start."""
    ends = places["end"] > places["chrom"].map(BUILDS[build])
    return (ends | (places["start"] >= places["end"])).to_numpy()


def _grouped(
    places: pd.DataFrame, features: Features, bin_size: int, gene_distance: int, genes: pd.DataFrame
) -> tuple[np.ndarray | None, pd.DataFrame]:
    """Return the feature of each peak (-1: none; ``None`` instead: each its own), and the table of features."""
    if features == "peaks":
        return None, _named(places)
    middle = (places["start"] + places["end"]) // 2
    if features == "bins":
        key = pd.MultiIndex.from_arrays([places["chrom"], middle // bin_size])
        groups, found = pd.factorize(key, sort=True)
        chrom = found.get_level_values(0)
        start = found.get_level_values(1).to_numpy() * bin_size
        var = pd.DataFrame({"chrom": chrom, "start": start, "end": start + bin_size})
        return groups, _named(var)
    found = gene_places(genes)
    groups = nearest_gene(places["chrom"], middle, found, gene_distance)
    used = np.unique(groups[groups >= 0])
    if not len(used):
        raise _no_gene_place(f"no peak within {gene_distance:,} bases of a gene")
    var = found.iloc[used].copy()
    var.index = [PREFIX + str(name) for name in var.index]
    return np.where(groups >= 0, np.searchsorted(used, groups), -1), var


def _named(places: pd.DataFrame) -> pd.DataFrame:
    return places.set_axis([f"{PREFIX}{c}:{s}-{e}" for c, s, e in places.itertuples(index=False)])


def gene_places(genes: pd.DataFrame) -> pd.DataFrame:
    """Return the positions of genes, from ``interval`` or `PLACE` of their table; rule ``peaks-genes``."""
    if "interval" in genes:
        places = parse_places(pd.Index(genes["interval"].astype(str))).set_axis(genes.index)
        return _as_places(places.dropna())
    if set(PLACE) <= set(genes):
        return _as_places(genes[list(PLACE)])
    raise _no_gene_place('a gene table without "interval" and without "chrom", "start", "end"')


def nearest_gene(
    chrom: pd.Series, middle: pd.Series, genes: pd.DataFrame, distance: int
) -> np.ndarray:
    """Return the row in `genes` of the gene nearest to each position, -1 if none is near.

    Within a gene the distance is 0; ties go to the gene that starts first, then to the first in the table.
    """
    found = np.full(len(chrom), -1, dtype=np.int64)
    for name, rows in chrom.groupby(chrom).indices.items():
        own = np.flatnonzero((genes["chrom"] == name).to_numpy())
        if not len(own):
            continue
        order = own[np.argsort(genes["start"].to_numpy()[own], kind="stable")]
        starts, ends = (genes[column].to_numpy()[order] for column in ("start", "end"))
        for row in rows:
            at = int(middle.iloc[row])
            away = np.maximum(0, np.maximum(starts - at, at - ends))
            best = int(away.argmin())
            if away[best] <= distance:
                found[row] = order[best]
    return found


def _join(binary: sparse.csr_matrix, groups: np.ndarray, features: int) -> sparse.csr_matrix:
    """Merge the columns of each group: open if any of them is."""
    some = np.flatnonzero(groups >= 0)
    ones = np.ones(len(some), dtype=np.float32)
    member = sparse.csr_matrix((ones, (some, groups[some])), (binary.shape[1], features))
    joined = sparse.csr_matrix(binary @ member, dtype=np.float32)
    joined.data[:] = 1
    return joined


def _no_gene_place(found: str) -> UserError:
    return UserError(
        "peaks-genes",
        found=found,
        expected='genes with coordinates: var["interval"] of the RNA, as written by Cell Ranger ARC',
        mend="add it, or set multiomics.features.peaks_as to peaks or bins",
    )
