"""Read the user's modalities as tables of the same cells, and split the cells into parts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mudata
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from sc_mamba2.cells import label_text, read_labels
from sc_mamba2.cells.keys import COUNTS_LAYER
from sc_mamba2.cells.modalities import (
    ATAC,
    PROTEIN,
    RNA,
    Pairing,
    pair_cells,
    read_modalities,
    standardise_peaks,
    standardise_proteins,
)
from sc_mamba2.cells.modalities.opening import quiet_mudata, read_mudata, take_modalities
from sc_mamba2.errors import UserError, nearest
from sc_mamba2.genes import load_gene_table
from sc_mamba2.tasks.multiomics.params import FeatureParams, KeyParams, SourceParams
from sc_mamba2.tasks.shared.batches import BATCH, read_batches, read_known_batches, sample_each
from sc_mamba2.tasks.shared.params import IngestionParams, ValidationParams
from sc_mamba2.tasks.shared.validation import ingest_cells, validate_cells

PART, LABEL = "part", "label"
TRAINING, VALIDATION, HELD_OUT = "training", "validation", "held_out"
ONE_BATCH = "all"
MIN_TRAINING_CELLS = 20
MIN_SCORED_CELLS = 20


@dataclass(frozen=True, eq=False)
class JointCells:
    """N cells of M modalities in standard form.

    Parameters
    ----------
    modalities
        By name: N rows each, in the order of `present`; cells without the modality are empty rows.
    present
        N x M, bool.
    obs
        The cells' table, as given.
    """

    modalities: dict[str, AnnData]
    present: pd.DataFrame
    obs: pd.DataFrame


def has(kind: str) -> str:
    """Return the name of the column that tells whether a cell has a modality."""
    return f"has_{kind}"


def read_sources(
    source: SourceParams,
    features: FeatureParams,
    ingestion: IngestionParams,
    validation: ValidationParams,
) -> tuple[mudata.MuData, JointCells, dict[str, Any]]:
    """Read the modalities and bring them into standard form; see `standardise_modalities`."""
    mdata, raw = open_sources(source.inputs)
    return mdata, *standardise_modalities(raw, features, ingestion, validation)


def open_sources(
    inputs: tuple[str, ...], rna_alone: bool = False
) -> tuple[mudata.MuData, dict[str, AnnData]]:
    """Return the modalities as one MuData (the file itself, if it is one), and separately."""
    if len(inputs) == 1 and Path(inputs[0]).suffix == ".h5mu":
        mdata = read_mudata(Path(inputs[0]))
        return mdata, take_modalities(mdata, rna_alone)
    raw = read_modalities(list(inputs), rna_alone)
    with quiet_mudata():
        return mudata.MuData(dict(raw)), raw


def standardise_modalities(
    raw: dict[str, AnnData],
    features: FeatureParams,
    ingestion: IngestionParams,
    validation: ValidationParams,
) -> tuple[JointCells, dict[str, Any]]:
    """Pair the cells, and bring every modality into standard form.

    Returns
    -------
    cells
        RNA log-normalised, proteins as counts, peaks as 0 and 1.
    report
        The validation report of the RNA, facts on the other modalities, all remarks.

    Raises
    ------
    UserError
        Rules of pairing, of ingestion and validation of the RNA, of proteins and peaks.
    """
    pairing = pair_cells(raw)
    rna, ingestion_report = ingest_cells(raw[RNA], ingestion)
    _, report = validate_cells(rna, ingestion_report, validation)
    standard = {RNA: rna}
    remarks = [*pairing.remarks, *report["remarks"]]
    if PROTEIN in raw:
        table = load_gene_table(ingestion.gene_table)
        zero = features.zero_negative_proteins
        standard[PROTEIN], report[PROTEIN] = standardise_proteins(raw[PROTEIN], table, zero)
    if ATAC in raw:
        standard[ATAC], report[ATAC] = standardise_peaks(
            raw[ATAC],
            features.genome,
            features.peaks_as,
            features.bin_size,
            features.gene_distance,
            raw[RNA].var,
        )
    for kind in (PROTEIN, ATAC):
        remarks += report.get(kind, {}).pop("remarks", [])
    cells = {kind: _in_order_of(pairing, part) for kind, part in standard.items()}
    paired = {f"cells_with_{kind}": int(pairing.present[kind].sum()) for kind in cells}
    report |= {"remarks": remarks, "paired": paired}
    return JointCells(cells, pairing.present, pairing.obs), report


def _in_order_of(pairing: Pairing, cells: AnnData) -> AnnData:
    """Return the cells in the order of the pairing, with empty rows for missing ones."""
    names = pairing.present.index
    rows = cells.obs_names.get_indexer(names)
    have = rows >= 0
    place = sparse.csr_matrix(
        (have[have].astype("float32"), (have.nonzero()[0], rows[have])), (len(names), cells.n_obs)
    )

    def spread(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
        spread_out = sparse.csr_matrix(place @ matrix)
        spread_out.sort_indices()
        return spread_out

    ordered = AnnData(X=spread(cells.X), obs=pd.DataFrame(index=names), var=cells.var.copy())
    if COUNTS_LAYER in cells.layers:
        ordered.layers[COUNTS_LAYER] = spread(cells.layers[COUNTS_LAYER])
    return ordered


def make_design(
    obs: pd.DataFrame, present: pd.DataFrame, keys: KeyParams, seed: int
) -> pd.DataFrame:
    """Assign cells to parts and batches.

    Cells are held out by the user's column, or at random; a share of the others is for validation. Both
    random draws are stratified by batch and by the modalities that a cell has.

    Returns
    -------
    DataFrame
        N rows: ``batch``, ``part``, and ``has_…`` for every modality.

    Raises
    ------
    UserError
        Rules of `read_batches`; ``held-out-missing``, ``held-out-empty``, ``cells-few``.
    """
    batches = pd.Series(ONE_BATCH, index=obs.index)
    if keys.batch_key is not None:
        batches = read_batches(obs, keys.batch_key)
    design = _table(batches, present)
    generator = np.random.default_rng(seed)
    groups = design[BATCH] + design.filter(like="has_").astype(str).agg("".join, axis=1)
    if keys.held_out_key is not None:
        held_out = _cells_with(obs, keys.held_out_key, keys.held_out_value)
    else:
        held_out = sample_each(groups, keys.held_out_share, generator)
    validation = np.zeros(len(design), dtype=bool)
    left = np.flatnonzero(~held_out)
    validation[left] = sample_each(groups.iloc[left], keys.validation_share, generator)
    design[PART] = np.select([held_out, validation], [HELD_OUT, VALIDATION], TRAINING)
    _check_enough(design)
    return design


def known_design(
    obs: pd.DataFrame, present: pd.DataFrame, batch_key: str | None, batches: tuple[str, ...]
) -> pd.DataFrame:
    """Return the design of cells for a trained model, all held out; see `make_design`."""
    own = pd.Series(ONE_BATCH, index=obs.index)
    if batch_key is not None:
        own = read_known_batches(obs, batch_key, batches)
    design = _table(own, present)
    design[PART] = HELD_OUT
    return design


def scored_cells(design: pd.DataFrame) -> np.ndarray:
    """Return the mask of scored cells: held-out ones, and if these are too few, validation cells too."""
    held_out = (design[PART] == HELD_OUT).to_numpy()
    if held_out.sum() >= MIN_SCORED_CELLS:
        return held_out
    return held_out | (design[PART] == VALIDATION).to_numpy()


def read_truth(obs: pd.DataFrame, keys: KeyParams) -> pd.DataFrame:
    """Return labels of the labelled cells as column ``label``; empty if no column is named."""
    if keys.label_key is None:
        return pd.DataFrame({LABEL: pd.Series(dtype=str)})
    return read_labels(obs, keys.label_key, keys.keep_absence_words).dropna().to_frame(LABEL)


def _table(batches: pd.Series, present: pd.DataFrame) -> pd.DataFrame:
    design = pd.DataFrame({BATCH: batches.astype(str)}, index=present.index)
    for kind in present:
        design[has(str(kind))] = present[kind].to_numpy()
    return design


def _cells_with(obs: pd.DataFrame, key: str, value: str) -> np.ndarray:
    if key not in obs:
        raise UserError(
            "held-out-missing",
            found=f"no column '{key}' in obs",
            expected=f"one of: {', '.join(map(str, obs.columns)) or 'obs has no columns'}",
            mend="choose a column that marks the held-out cells" + nearest(key, obs.columns),
        )
    text = label_text(obs[key]).reindex(obs.index)
    chosen = (text == value).to_numpy()
    if not chosen.any() or chosen.all():
        raise UserError(
            "held-out-empty",
            found=f"'{value}' in {int(chosen.sum()):,} of {len(obs):,} cells of obs['{key}']",
            expected="some cells held out, and some to train on",
            mend=f"choose one of its values: {', '.join(sorted(text.dropna().unique())[:5])}",
        )
    return chosen


def _check_enough(design: pd.DataFrame) -> None:
    training = design[design[PART] == TRAINING]
    for column in design.filter(like="has_"):
        if training[column].sum() < MIN_TRAINING_CELLS or not (design[PART] == VALIDATION).any():
            raise UserError(
                "cells-few",
                found=f"{int(training[column].sum()):,} training cells with {str(column)[4:]}",
                expected=f"at least {MIN_TRAINING_CELLS} of each modality, and cells for validation",
                mend="add cells, or hold out fewer (multiomics.keys.held_out_share)",
            )
