"""Pair the cells of several modalities by name, in any order; refuse those that cannot be paired."""

from dataclasses import dataclass

import anndata as ad
import pandas as pd

from sc_mamba2.cells.contract import check_tables
from sc_mamba2.cells.modalities.kinds import RNA
from sc_mamba2.errors import UserError

MIN_PAIRED_CELLS = 10
MAX_NUMBER_SHARE = 0.5  # largest share of cell names that are bare numbers
Remark = dict[str, str]


@dataclass(frozen=True, eq=False)
class Pairing:
    """N cells of M modalities.

    Parameters
    ----------
    present
        N x M, bool, one column per modality: whether the cell has it. Cells of the RNA come first, in
        their order, then those that the RNA lacks.
    obs
        Table of the N cells: the columns of the RNA, and those that only another modality has.
    """

    present: pd.DataFrame
    obs: pd.DataFrame
    remarks: list[Remark]


def pair_cells(modalities: dict[str, ad.AnnData]) -> Pairing:
    """Pair the cells of the modalities, RNA first, by name.

    Raises
    ------
    UserError
        ``cells-none``, ``genes-none``, ``cells-names`` of any; ``features-duplicate``;
        ``cells-disjoint``: a modality shares almost no cells with the RNA.
    """
    first, *others = (cells.obs_names for cells in modalities.values())
    for kind, cells in modalities.items():
        check_tables(cells)
        if kind != RNA:
            _check_features(kind, cells)
    names = first.append(others).unique()
    present = pd.DataFrame({kind: names.isin(c.obs_names) for kind, c in modalities.items()}, names)
    for kind, cells in modalities.items():
        if kind != RNA and (present[kind] & present[RNA]).sum() < MIN_PAIRED_CELLS:
            raise _disjoint(kind, modalities[RNA], cells)
    return Pairing(present, _joint_table(modalities, names), _remarks(modalities, present))


def _joint_table(modalities: dict[str, ad.AnnData], names: pd.Index) -> pd.DataFrame:
    obs = pd.DataFrame(index=names)
    for cells in modalities.values():
        for column in cells.obs:
            own = cells.obs[column].astype(object).reindex(names)
            obs[column] = obs[column].where(obs[column].notna(), own) if column in obs else own
    return obs


def _check_features(kind: str, cells: ad.AnnData) -> None:
    twice = cells.var_names[cells.var_names.duplicated()].unique()
    if len(twice):
        raise UserError(
            "features-duplicate",
            found=f"{len(twice):,} duplicate names of {kind} ({', '.join(twice[:3])})",
            expected="unique names",
            mend=f"rename or drop them, or call {kind}.var_names_make_unique() if they differ",
        )


def _disjoint(kind: str, rna: ad.AnnData, other: ad.AnnData) -> UserError:
    mend = "use the same cells in both, with the same names (barcodes)"
    if len(_bare(rna.obs_names).intersection(_bare(other.obs_names))) >= MIN_PAIRED_CELLS:
        mend = "only the barcodes agree: give both the same prefix and suffix"
    shared = len(rna.obs_names.intersection(other.obs_names))
    return UserError(
        "cells-disjoint",
        found=f"{shared:,} cells shared by rna and {kind}, of {rna.n_obs:,} and {other.n_obs:,} "
        f"(e.g. {rna.obs_names[0]} and {other.obs_names[0]})",
        expected=f"at least {MIN_PAIRED_CELLS} cells with both",
        mend=mend,
    )


def _bare(names: pd.Index) -> pd.Index:
    """Return the barcodes without prefix and suffix."""
    return pd.Index(names.astype(str).str.extract(r"([ACGT]{8,})", expand=False).dropna().unique())


def _remarks(modalities: dict[str, ad.AnnData], present: pd.DataFrame) -> list[Remark]:
    remarks = []
    if present.index.str.fullmatch(r"\d+").mean() > MAX_NUMBER_SHARE and len(modalities) > 1:
        text = "cells are named by numbers; the same number means the same cell in all modalities"
        remarks.append({"rule": "cells-numbered", "remark": text})
    for kind, cells in modalities.items():
        lacking = int((~present[kind]).sum())
        if lacking:
            remarks.append(
                {"rule": "cells-unpaired", "remark": f"{lacking:,} cells without {kind}"}
            )
        ordered = present.index[present[kind]].equals(cells.obs_names)
        if kind != RNA and not ordered:
            text = f"{kind} has its cells in another order; they were matched by name"
            remarks.append({"rule": "cells-order", "remark": text})
    return remarks
