"""The known modalities, and how to recognise that of a table of features."""

import re

import numpy as np
import pandas as pd

from sc_mamba2.cells import features as features_of
from sc_mamba2.cells.gene_columns import share_known
from sc_mamba2.genes import load_gene_table

RNA, PROTEIN, ATAC = "rna", "protein", "atac"
MODALITIES = (RNA, PROTEIN, ATAC)
_MODALITY = {features_of.GENE: RNA, features_of.PROTEIN: PROTEIN, features_of.PEAK: ATAC}


def modality_of_name(name: str) -> str | None:
    """Return the modality that a name denotes, such as ``ADT`` or ``pbmc_protein``, or ``None``."""
    words = [word for word in re.split(r"[^a-z]+", name.lower()) if word]
    # "surface protein expression" is clear as a whole, "rna_protein" is ambiguous.
    found = {_MODALITY.get(features_of.kind_of_word(word) or "") for word in words} - {None}
    return found.pop() if len(found) == 1 else None


def modalities_of_features(features: pd.DataFrame, name: str = "") -> dict[str, np.ndarray]:
    """Return the columns of each modality; those of none, such as guides, are left out.

    Empty if neither the table nor the features' names state it. If only names do, and most of them, the rest is
    of that kind too, as in an antibody panel where not all are marked. A table with only names of surface
    antigens has the modality that its file's `name` denotes, else proteins.
    """
    known = features_of.known_kinds(features)
    if features_of.is_antibody_panel(features):
        own = known.isna() | (known == features_of.PROTEIN)
        return {modality_of_name(name) or PROTEIN: np.flatnonzero(own.to_numpy())}
    assigned = known.dropna()
    if assigned.empty:
        return {}
    stated = features_of.stated_kinds(features).notna().any()
    if not stated and len(assigned) > len(known) / 2:
        rest = list(features.index[known.isna().to_numpy()].astype(str))
        if share_known(rest, load_gene_table()) <= 0.5:
            known = known.fillna(assigned.mode().iloc[0])
    modalities = features_of.feature_kinds(features) if known.isna().any() else known
    modalities = modalities.map(_MODALITY)
    return {
        kind: np.flatnonzero((modalities == kind).to_numpy())
        for kind in modalities.dropna().unique()
    }


def columns_of_modality(features: pd.DataFrame, kind: str) -> np.ndarray:
    """Return the columns of a modality in a table that the user says holds it.

    Columns of unknown kind are included; those known to be of another kind are not.
    """
    known = features_of.known_kinds(features)
    return np.flatnonzero((known.isna() | (known.map(_MODALITY) == kind)).to_numpy())


def modality_of_names(names: pd.Index) -> str | None:
    """Guess the modality from features' names: coordinates are peaks, known names are genes."""
    if features_of.is_place(names).mean() > 0.5:
        return ATAC
    known = share_known(list(names.astype(str)), load_gene_table())
    return RNA if known > 0.5 else None
