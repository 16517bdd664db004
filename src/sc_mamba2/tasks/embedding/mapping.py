"""Reference mapping: make an index of labelled cells, and transfer types to new cells."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sc_mamba2.cells import keys
from sc_mamba2.cells.shared_cells import SAME, shared_remark
from sc_mamba2.methods.neighbour_vote import NeighbourVote
from sc_mamba2.methods.type_space import (
    RIGHT_ANGLE,
    TypeSpace,
    left_out_distances,
    mean_direction,
)
from sc_mamba2.tasks.embedding.blocks import BATCH, LABEL, EmbeddedBlocks
from sc_mamba2.tasks.embedding.index import ReferenceIndex
from sc_mamba2.tasks.embedding.model import Encoder
from sc_mamba2.tasks.embedding.params import EmbeddingOptions, KeyParams, MappingParams
from sc_mamba2.tasks.shared.progress import training_progress

SHARED = "shared"  # positions of cells that are also in the index
_FEW_GENES = 0.5  # share of the reference's weight
_log = logging.getLogger(__name__)


def make_index(
    embedded: EmbeddedBlocks,
    encoder: Encoder,
    obs_keys: KeyParams,
    options: EmbeddingOptions,
    params: MappingParams,
) -> ReferenceIndex:
    """Make an index of the labelled cells of an embedding, with distances between some of them."""
    labels = embedded.obs[LABEL]
    labelled = np.flatnonzero(labels.notna())
    vectors = np.concatenate(list(embedded.of_all("sums")))[labelled]
    types = labels.iloc[labelled].to_numpy(dtype=str)
    classes = np.unique(types, return_inverse=True)[1]
    own = np.linspace(0, len(types) - 1, min(params.own_cells, len(types))).round().astype(np.int64)
    batches = None
    if BATCH in embedded.obs:
        batches = embedded.obs[BATCH].iloc[labelled[own]].fillna("").to_numpy(dtype=str)
    left_out = params.ridge, params.neighbours, params.folds, 0
    return ReferenceIndex(
        vectors=vectors,
        labels=types,
        names=labels.index[labelled],
        own_distances=left_out_distances(vectors[own], classes[own], batches, *left_out),
        squares_V=np.sum(list(embedded.of_all("squares")), axis=0),
        facts={
            "label_key": obs_keys.label_key,
            "neighbours": params.neighbours,
            "ridge": params.ridge,
            "batches": 1 if batches is None else len(set(batches)),
            "space": encoder.identity(options),
            # An absolute path means nothing on other machines.
            "checkpoint": None if Path(options.checkpoint).is_absolute() else options.checkpoint,
        },
    )


def map_cells(
    embedded: EmbeddedBlocks, index: ReferenceIndex, params: MappingParams
) -> pd.DataFrame:
    """Assign every cell the type of its nearest reference cells, by `NeighbourVote` in a `TypeSpace`.

    Two rounds: the first, shifted by a share of the difference of the means, gives distances and types; the
    second is shifted by how the cells differ from the mean of their type, and gives the types.

    Returns
    -------
    DataFrame
        N rows: the best type; its share of the votes as confidence, 0 to 1; the mean distance to the
        neighbours, relative to that of unrelated cells (0: identical; 1: a right angle); and whether it
        is unassigned: by one of these, or since the mean of another type is nearer. In ``attrs``:
        ``limit``, the distance beyond which a cell is unassigned, ``shared``, the positions of cells that
        are also in the index, and ``remarks`` on both.
    """
    names, classes = np.unique(index.labels, return_inverse=True)
    space = TypeSpace(index.vectors, classes, index.facts["ridge"])
    vote = NeighbourVote(space.place(index.vectors), classes, params.neighbours)
    shift_D = space.shift(mean_direction(embedded.of_all("sums")), params.shift)
    first, votes, shared, seen, cells = [], [], [], 0, len(embedded.obs)
    with training_progress("mapping", unit="cell") as on_cells:
        for sums in embedded.of_all("sums"):
            first.append(vote(space.place(sums, shift_D)))
            shared.append(_is_shared(sums, embedded.obs.index[seen : seen + len(sums)], index))
            on_cells(seen := seen + len(sums), 2 * cells)
        first_N, _, distance = map(np.concatenate, zip(*first, strict=True))
        shift_D = space.shift_within(embedded.of_all("sums"), first_N)
        for sums in embedded.of_all("sums"):
            placed = space.place(sums, shift_D)
            votes.append((*vote(placed)[:2], space.nearest_mean(placed)))
            on_cells(seen := seen + len(sums), 2 * cells)
    best, share, nearest = map(np.concatenate, zip(*votes, strict=True))
    calls = pd.DataFrame(
        {
            keys.CELL_TYPE: pd.Categorical.from_codes(best, categories=pd.Index(names)),
            keys.CONFIDENCE: share.astype(np.float32),
            keys.DISTANCE: (distance / RIGHT_ANGLE).astype(np.float32),
        },
        index=embedded.obs.index,
    )
    limit = farthest(index, params)
    unconfident = calls[keys.CONFIDENCE] < params.unassigned_below
    calls[keys.UNASSIGNED] = unconfident | (nearest != best) | (calls[keys.DISTANCE] > limit)
    remarks = unassigned_remarks(calls, limit, embedded.coverage, params)
    shared_N = np.concatenate(shared)
    if count := int(shared_N.sum()):
        remarks.append(shared_remark(count, len(calls), "the index"))
    calls.attrs |= {"limit": limit, "remarks": remarks, SHARED: np.flatnonzero(shared_N).tolist()}
    return calls


def _is_shared(sums: np.ndarray, names: pd.Index, index: ReferenceIndex) -> np.ndarray:
    """Return which cells are also in the index, with the same name and the same vector, (N,) bool."""
    places = pd.Series(np.arange(len(index.names)), index.names)
    rows = places[~places.index.duplicated()].reindex(names, fill_value=-1).to_numpy()
    own = index.vectors[rows]  # -1 selects the last row, ignored below
    apart = np.linalg.norm(own - sums, axis=1)
    return (rows >= 0) & (apart <= SAME * np.linalg.norm(own, axis=1))


def farthest(index: ReferenceIndex, params: MappingParams) -> float:
    """Return the distance beyond which a cell is unassigned, relative to a right angle.

    It is the quantile `unassigned_beyond` of the distances of left-out reference cells; without batches
    to leave out, it is increased by `margin` of the remainder up to 1.
    """
    if not len(index.own_distances):
        return 1.0
    limit = float(np.quantile(index.own_distances, params.unassigned_beyond)) / RIGHT_ANGLE
    return limit if index.facts["batches"] > 1 else limit + params.margin * max(0.0, 1 - limit)


def unassigned_remarks(
    calls: pd.DataFrame, limit: float, coverage: dict[str, Any], params: MappingParams
) -> list[dict[str, str]]:
    """Return a remark with the likely cause if too many cells are unassigned."""
    share = float(calls[keys.UNASSIGNED].mean())
    if share <= params.remark_unassigned:
        return []
    beyond = float((calls[keys.DISTANCE] > limit).mean())
    median = float(calls[keys.DISTANCE].median())
    if beyond <= share / 2:
        cause = (
            "that neighbours and type means disagree: another protocol, similar types, or labels too fine for "
            "this embedding. scm annotate weighs more methods against each other"
        )
    elif coverage["weight_share"] < _FEW_GENES:
        cause = f"missing genes: only {coverage['weight_share']:.0%} of the reference's weight is measured"
    elif median > (limit + 1) / 2:
        cause = "another tissue or kind of cell: they resemble no type of the reference"
    else:
        cause = (
            "another tissue, or a protocol that shifts all cells: they are just beyond the limit"
        )
    words = (
        f"{share:.0%} of the cells are unassigned (median distance {median:.2f}, limit {limit:.2f}). "
        f"The likely cause is {cause}"
    )
    _log.warning("%s.", words)
    return [{"rule": "cells-unassigned", "remark": words}]
