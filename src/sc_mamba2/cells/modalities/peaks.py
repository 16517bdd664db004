"""Peaks: their coordinates, checked against a build of the genome; as they are, in bins, or by gene."""

from typing import Any, Literal

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from sc_mamba2.cells.expression import clean_matrix, look_at_values
from sc_mamba2.cells.keys import COUNTS_LAYER
from sc_mamba2.cells.modalities.genomes import BUILDS
from sc_mamba2.cells.modalities.kinds import COORDINATES
from sc_mamba2.errors import UserError

PREFIX = "peak:"
Features = Literal["peaks", "bins", "genes"]
GENE_COLUMNS = ("chrom", "start", "end")


def standardise_peaks(
    cells: ad.AnnData,
    build: str,
    features: Features,
    bin_size: int,
    gene_distance: int,
    genes: pd.DataFrame,
) -> tuple[ad.AnnData, dict[str, Any]]:
    """Give peaks their identity, and check them.

    Parameters
    ----------
    cells
        N cells x P peaks named by coordinates, such as ``chr1:100-600``.
    build
        ``hg38`` or ``hg19``: every peak must lie in its chromosomes.
    features
        ``peaks``: as they are. ``bins``: peaks whose middles lie in one window of `bin_size` bases are one.
        ``genes``: peaks are given to the nearest gene within `gene_distance` bases, others are dropped.
    bin_size, gene_distance
        Bases.
    genes
        Table of the RNA's features; for ``genes`` it must say where they lie, in ``interval``
        (``chr1:100-600``, as Cell Ranger ARC writes) or in ``chrom``, ``start``, ``end``.

    Returns
    -------
    cells
        ``X`` float32 CSR, 0 and 1: whether anything in it is open. ``var`` named ``peak:…`` with
        ``chrom``, ``start``, ``end``.
    report
        JSON-able: peaks, features, whether they were 0 and 1, remarks.

    Raises
    ------
    UserError
        ``peaks-values``, ``peaks-names``, ``peaks-build``, ``peaks-genes``.
    """
    facts = look_at_values(matrix := cells.layers.get(COUNTS_LAYER, cells.X))
    if facts.fault:
        raise UserError(
            "peaks-values",
            found=f"a matrix of peaks that {facts.fault}",
            expected="0 and 1, or counts",
            mend='correct the matrix, or keep the counts in layers["counts"]',
        )
    places = parse_coordinates(cells.var_names)
    _check_build(places, build)
    binary = clean_matrix(matrix)
    remarks = []
    if facts.largest > 1:
        text = f"peaks hold values up to {facts.largest:.3g}; what is above 0 counts as open"
        remarks.append({"rule": "peaks-counts", "remark": text})
    binary.data[:] = 1
    groups, var = _grouped(places, cells.var_names, features, bin_size, gene_distance, genes)
    if groups is not None:
        binary = _join(binary, groups, len(var))
    report = {"total": len(places), "kept": len(var), "binary": facts.largest <= 1}
    standard = ad.AnnData(X=binary, obs=cells.obs[[]].copy(), var=var)
    return standard, report | {"remarks": remarks}


def parse_coordinates(names: pd.Index) -> pd.DataFrame:
    """Read ``chrom``, ``start`` and ``end`` from names such as ``chr1:100-600`` or ``1_100_600``.

    Raises
    ------
    UserError
        Rule ``peaks-names``.
    """
    parts = names.astype(str).str.extract(COORDINATES)
    bad = parts[0].isna().to_numpy()
    if bad.any():
        raise UserError(
            "peaks-names",
            found=f"{int(bad.sum()):,} peaks without coordinates ({', '.join(names[bad][:3])})",
            expected="names such as chr1:100-600",
            mend="name the peaks by chromosome, start and end",
        )
    chrom = parts[0].where(parts[0].str.startswith("chr"), "chr" + parts[0])
    table = pd.DataFrame({"chrom": chrom, "start": parts[1], "end": parts[2]})
    return table.astype({"start": np.int64, "end": np.int64})


def _check_build(places: pd.DataFrame, build: str) -> None:
    outside = _outside(places, build)
    if not outside.any():
        return
    first = places[outside].iloc[0]
    others = [name for name in BUILDS if name != build and not _outside(places, name).any()]
    mend = f"set multiomics.features.genome={others[0]}" if others else "correct or drop them"
    raise UserError(
        "peaks-build",
        found=f"{int(outside.sum()):,} of {len(places):,} peaks outside of {build} (e.g. "
        f"{first['chrom']}:{first['start']}-{first['end']})",
        expected=f"coordinates within the chromosomes of {build}, start before end",
        mend=mend,
    )


def _outside(places: pd.DataFrame, build: str) -> np.ndarray:
    """Say which peaks end behind their chromosome; contigs that the table lacks are let through."""
    lengths = places["chrom"].map(BUILDS[build]).fillna(np.inf)
    return ((places["end"] > lengths) | (places["start"] >= places["end"])).to_numpy()


def _grouped(
    places: pd.DataFrame,
    names: pd.Index,
    features: Features,
    bin_size: int,
    gene_distance: int,
    genes: pd.DataFrame,
) -> tuple[np.ndarray | None, pd.DataFrame]:
    """Return which feature each peak belongs to (-1: none), ``None`` for itself, and the features."""
    if features == "peaks":
        var = places.copy()
        var.index = [f"{PREFIX}{c}:{s}-{e}" for c, s, e in places.itertuples(index=False)]
        return None, var
    middle = (places["start"] + places["end"]) // 2
    if features == "bins":
        key = pd.MultiIndex.from_arrays([places["chrom"], middle // bin_size])
        groups, found = pd.factorize(key, sort=True)
        chrom = found.get_level_values(0)
        start = found.get_level_values(1).to_numpy() * bin_size
        var = pd.DataFrame({"chrom": chrom, "start": start, "end": start + bin_size})
        var.index = [f"{PREFIX}{c}:{s}-{e}" for c, s, e in var.itertuples(index=False)]
        return groups, var
    found = gene_places(genes)
    groups = nearest_gene(places["chrom"], middle, found, gene_distance)
    used = np.unique(groups[groups >= 0])
    if not len(used):
        raise _no_gene_place(f"no peak within {gene_distance:,} bases of a gene")
    var = found.iloc[used].copy()
    var.index = [PREFIX + str(name) for name in var.index]
    return np.where(groups >= 0, np.searchsorted(used, groups), -1), var


def gene_places(genes: pd.DataFrame) -> pd.DataFrame:
    """Return where genes lie, from ``interval`` or from ``chrom``, ``start``, ``end`` of their table.

    Raises
    ------
    UserError
        Rule ``peaks-genes``.
    """
    if "interval" in genes:
        parts = genes["interval"].astype(str).str.extract(COORDINATES)
        parts.columns = list(GENE_COLUMNS)
        known = parts.dropna()
        return known.astype({"start": np.int64, "end": np.int64})
    if set(GENE_COLUMNS) <= set(genes):
        return genes[list(GENE_COLUMNS)].astype({"start": np.int64, "end": np.int64})
    raise _no_gene_place('a gene table without "interval" and without "chrom", "start", "end"')


def nearest_gene(
    chrom: pd.Series, middle: pd.Series, genes: pd.DataFrame, distance: int
) -> np.ndarray:
    """Return the place in `genes` of the gene nearest to each position, -1 where none is near.

    A position in a gene has distance 0; of equally near genes the one that starts first counts, then the
    one that stands first in the table.
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
    """Join the columns of a group: open where any of them is."""
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
        expected='genes with a place: var["interval"] of the RNA, as Cell Ranger ARC writes it',
        mend="add it, or set multiomics.features.peaks_as to peaks or bins",
    )
