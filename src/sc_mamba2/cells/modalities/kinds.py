"""The modalities that are known, and how it is told which one a table of features is."""

import re

import numpy as np
import pandas as pd

from sc_mamba2.cells import keys
from sc_mamba2.cells.gene_columns import share_of_ids

RNA, PROTEIN, ATAC = "rna", "protein", "atac"
MODALITIES = (RNA, PROTEIN, ATAC)
OTHER_NAMES = {
    RNA: ("rna", "gex", "gene expression", "expression"),
    PROTEIN: ("protein", "proteins", "prot", "adt", "antibody capture", "ab"),
    ATAC: ("atac", "peaks", "chromatin", "chromatin accessibility"),
}
_FEATURE_TYPES = {
    **dict.fromkeys(("Gene Expression", "GEX"), RNA),
    **dict.fromkeys(("Antibody Capture", "Protein", "ADT", "protein"), PROTEIN),
    **dict.fromkeys(("Peaks", "ATAC", "Chromatin Accessibility"), ATAC),
}
COORDINATES = re.compile(r"^(chr[\w.]+|\d{1,2}|[XYM]|MT)[:_-](\d+)[-_](\d+)$")


def modality_of_name(name: str) -> str | None:
    """Return the modality that a name means, such as ``ADT`` or ``pbmc_protein``, or ``None``."""
    known = {other: kind for kind, others in OTHER_NAMES.items() for other in others}
    if name.strip().lower() in known:
        return known[name.strip().lower()]
    words = [word for word in re.split(r"[^a-z]+", name.lower()) if word]
    found = {known[word] for word in words if word in known}
    return found.pop() if len(found) == 1 else None


def modalities_of_features(features: pd.DataFrame) -> dict[str, np.ndarray]:
    """Tell by ``var["feature_types"]`` which columns are of which modality.

    Empty where the table does not say, or says nothing that is known.
    """
    if keys.FEATURE_TYPES not in features:
        return {}
    kinds = features[keys.FEATURE_TYPES].astype(str).map(_FEATURE_TYPES)
    return {kind: np.flatnonzero((kinds == kind).to_numpy()) for kind in kinds.dropna().unique()}


def modality_of_names(names: pd.Index) -> str | None:
    """Guess the modality from the features' names: coordinates are peaks, Ensembl ids are genes."""
    if names.astype(str).str.match(COORDINATES).mean() > 0.5:
        return ATAC
    return RNA if share_of_ids(names) > 0.5 else None
