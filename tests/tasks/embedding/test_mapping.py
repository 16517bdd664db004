"""Types from an index: the votes by hand, what lies far away, and what is refused."""

from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from sc_mamba2.cells import keys, simulate_cells
from sc_mamba2.methods.type_space import TypeSpace, mean_direction
from sc_mamba2.tasks.embedding.evaluate import score_transfer
from sc_mamba2.tasks.embedding.index import ReferenceIndex
from sc_mamba2.tasks.embedding.mapping import (
    farthest,
    make_index,
    map_cells,
    unassigned_remarks,
)
from sc_mamba2.tasks.embedding.model import load_encoder
from sc_mamba2.tasks.embedding.params import EmbeddingOptions, KeyParams, MappingParams

PARAMS = MappingParams(neighbours=3)


@pytest.fixture
def reference(embed, cells_file):
    return embed(cells_file, label_key="cell_type")


@pytest.fixture
def make(checkpoint):
    """Give a function that makes an index of an embedded reference."""
    options = EmbeddingOptions(checkpoint=str(checkpoint))
    parts = (load_encoder(options), KeyParams(label_key="cell_type"), options, PARAMS)
    return lambda reference: make_index(reference, *parts)


@pytest.fixture
def index(reference, make) -> ReferenceIndex:
    return make(reference)


def sums_of(embedded) -> np.ndarray:
    return np.concatenate(list(embedded.of_all("sums")))


def test_an_index_holds_the_labelled_cells_as_sums_of_their_genes(index, reference, cells_file):
    obs = ad.read_h5ad(cells_file).obs
    assert list(index.labels) == list(obs["cell_type"]) and list(index.names) == list(obs.index)
    np.testing.assert_array_equal(index.vectors, sums_of(reference))
    assert len(index.own_distances) == len(obs) and (np.diff(index.own_distances) >= 0).all()


def test_votes_and_distances_are_those_by_hand(index, embed, tmp_path):
    simulate_cells(20, seed=1).write_h5ad(tmp_path / "query.h5ad")
    query = embed(tmp_path / "query.h5ad", "query")
    calls = map_cells(query, index, PARAMS)
    names, classes = np.unique(index.labels, return_inverse=True)
    space = TypeSpace(index.vectors, classes, PARAMS.ridge)
    placed = space.place(index.vectors)

    def voted(shift: np.ndarray) -> list[tuple[str, float, float]]:
        found = []
        for cell in space.place(sums_of(query), shift):
            row = np.linalg.norm(cell - placed, axis=1)
            near = np.argsort(row)[:3]
            votes = {n: (1 / row[near])[index.labels[near] == n].sum() for n in names}
            best = max(votes, key=votes.get)
            found.append((best, votes[best] / (1 / row[near]).sum(), row[near].mean() / 2**0.5))
        return found

    first = voted(space.shift(mean_direction([sums_of(query)]), PARAMS.shift))
    units, own = (v / np.linalg.norm(v, axis=1)[:, None] for v in (sums_of(query), index.vectors))
    left = [u - own[index.labels == best].mean(axis=0) for u, (best, *_) in zip(units, first)]
    common = [sum(best == other for other, *_ in first) >= 5 for best, *_ in first]
    shift = np.mean(np.array(left)[common], axis=0)
    means = np.stack([placed[index.labels == name].mean(axis=0) for name in names])
    means /= np.linalg.norm(means, axis=1)[:, None]
    nearest = names[(space.place(sums_of(query), shift) @ means.T).argmax(axis=1)]
    limit = farthest(index, PARAMS)
    for cell, (best, share, _) in enumerate(voted(shift)):
        call, far = calls.iloc[cell], first[cell][2]
        assert call[keys.CELL_TYPE] == best
        assert call[keys.CONFIDENCE] == pytest.approx(share, rel=1e-3)
        assert call[keys.DISTANCE] == pytest.approx(far, rel=1e-4)
        marked = share < 0.5 or far > limit or nearest[cell] != best
        assert call[keys.UNASSIGNED] == marked


def test_the_limit_is_a_quantile_of_what_was_left_out_with_a_margin_for_one_batch(
    index, embed, make
):
    quantile = np.quantile(index.own_distances, 0.99) / 2**0.5
    assert farthest(index, PARAMS) == pytest.approx(quantile + 0.33 * (1 - quantile))
    by_batch = replace(index, facts=index.facts | {"batches": 2})
    assert farthest(by_batch, PARAMS) == pytest.approx(quantile)


def test_a_cell_of_the_reference_gets_its_own_type(index, reference):
    calls = map_cells(reference, index, PARAMS)
    assert list(calls[keys.CELL_TYPE]) == list(index.labels)
    assert (calls[keys.CONFIDENCE] > 0.99).all()


def test_what_nothing_is_like_is_marked(index, reference):
    strict = replace(index, own_distances=np.zeros(3, np.float32))
    calls = map_cells(reference, strict, PARAMS.model_copy(update={"margin": 0.0}))
    assert calls[keys.UNASSIGNED].all() and calls.attrs["remarks"]
    assert set(calls[keys.CELL_TYPE]) <= set(index.labels)  # the best type is there all the same


@pytest.mark.parametrize(
    ("distances", "share", "word"),
    [
        ([0.99, 0.99, 0.99], 1.0, "another tissue or kind of cell"),
        ([0.81, 0.81, 0.3], 1.0, "protocol"),
        ([0.99, 0.99, 0.99], 0.2, "missing genes"),
        ([0.1, 0.1, 0.9], 1.0, "type means disagree"),
    ],
)
def test_many_unassigned_cells_have_a_cause_in_words(distances, share, word):
    table = {keys.DISTANCE: distances, keys.UNASSIGNED: [True, True, True]}
    remarks = unassigned_remarks(pd.DataFrame(table), 0.8, {"weight_share": share}, PARAMS)
    assert [remark["rule"] for remark in remarks] == ["cells-unassigned"]
    assert word in remarks[0]["remark"]
    few = pd.DataFrame(table | {keys.UNASSIGNED: [False, False, False]})
    assert not unassigned_remarks(few, 0.8, {"weight_share": share}, PARAMS)


def test_cells_without_a_label_are_left_out(embed, make, tmp_path, cells_file):
    cells = ad.read_h5ad(cells_file)
    cells.obs["cell_type"] = cells.obs["cell_type"].astype(object)
    cells.obs.iloc[:10, 0] = None
    cells.write_h5ad(tmp_path / "part.h5ad")
    found = make(embed(tmp_path / "part.h5ad", label_key="cell_type"))
    assert len(found.labels) == len(found.vectors) == 40


def test_cells_of_the_index_are_said_and_not_scored(index, reference):
    calls = map_cells(reference, index, PARAMS)
    assert calls.attrs["shared"] == list(range(len(index.labels)))
    assert [one["rule"] for one in calls.attrs["remarks"]][-1] == "cells-shared"
    obs = reference.obs.assign(label=index.labels)
    assert "transfer_accuracy" not in score_transfer(calls, obs)
    calls.attrs["shared"] = calls.attrs["shared"][1:]
    assert score_transfer(calls, obs)["transfer_accuracy"] == 1
