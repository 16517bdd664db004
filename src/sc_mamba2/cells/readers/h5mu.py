"""MuData files: the RNA modality, with the columns that only the joint table has."""

from collections.abc import Iterable
from pathlib import Path

import anndata as ad
import h5py
import pandas as pd

from sc_mamba2.cells.features import GENE, kind_of_word, known_kinds
from sc_mamba2.cells.readers.memory import check_memory, stored_bytes
from sc_mamba2.errors import UserError


def read_h5mu(path: Path) -> ad.AnnData:
    """Read the RNA of a MuData file; the other modalities are not loaded.

    RNA is the modality so named, else the first with features known to be genes, else the only one;
    else rule ``modality-missing``.
    """
    with h5py.File(path, "r") as file:
        modalities = file["mod"]
        chosen = modalities[_rna(modalities, path)]
        check_memory(stored_bytes(chosen), path)
        cells = ad.io.read_elem(chosen)
        add_joint_columns(cells, ad.io.read_elem(file["obs"]), modalities)
    return cells


def add_joint_columns(cells: ad.AnnData, joint: pd.DataFrame, modalities: Iterable[str]) -> None:
    """Add the joint table's columns to a modality, except copies of a modality's own."""
    copies = tuple(f"{name}:" for name in modalities)
    for column in joint.columns.difference(cells.obs.columns, sort=False):
        if not str(column).startswith(copies):
            cells.obs[column] = joint[column].reindex(cells.obs_names)


def _rna(modalities: h5py.Group, path: Path) -> str:
    for name in modalities:
        if kind_of_word(name) == GENE:
            return name
    for name in modalities:
        genes = ad.io.read_elem(modalities[name]["var"])
        if (known_kinds(genes) == GENE).any():
            return name
    if len(modalities) == 1:
        return next(iter(modalities))
    raise UserError(
        "modality-missing",
        found=f"{path.name} holds {', '.join(modalities) or 'no modality'}",
        expected="a modality named rna or gex",
        mend="rename the RNA modality to 'rna', or save it alone: mdata['…'].write_h5ad()",
    )
