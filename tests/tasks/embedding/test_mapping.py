"""Types from an index: the votes by hand, what lies far away, and what is refused."""

import anndata as ad
import numpy as np
import pytest

from sc_mamba2.cells import keys, simulate_cells
from sc_mamba2.tasks.embedding.index import ReferenceIndex
from sc_mamba2.tasks.embedding.mapping import make_index, map_cells
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


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.linalg.norm(one[:, None].astype(float) - other[None].astype(float), axis=-1)


def test_an_index_holds_the_labelled_cells_and_their_own_distances(index, reference, cells_file):
    obs = ad.read_h5ad(cells_file).obs
    assert list(index.labels) == list(obs["cell_type"]) and list(index.names) == list(obs.index)
    among = distances(index.vectors, index.vectors)
    np.fill_diagonal(among, np.inf)
    expected = np.sort(np.sort(among, axis=1)[:, :3].mean(axis=1))
    np.testing.assert_allclose(index.own_distances, expected, rtol=1e-4)


def test_votes_and_distances_are_those_by_hand(index, embed, tmp_path):
    simulate_cells(20, seed=1).write_h5ad(tmp_path / "query.h5ad")
    query = embed(tmp_path / "query.h5ad", "query")
    calls = map_cells(query, index, PARAMS)
    far = distances(np.concatenate(list(query)), index.vectors)
    for cell, row in enumerate(far):
        near = np.argsort(row)[:3]
        votes = {name: (1 / row[near])[index.labels[near] == name].sum() for name in index.labels}
        best = max(sorted(votes), key=votes.get)
        call = calls.iloc[cell]
        assert call[keys.CELL_TYPE] == best
        share = votes[best] / (1 / row[near]).sum()
        assert call[keys.CONFIDENCE] == pytest.approx(share, rel=1e-3)
        beyond = (index.own_distances < row[near].mean()).mean()
        assert call[keys.DISTANCE] == pytest.approx(beyond, abs=0.021)  # one cell of 50
        marked = call[keys.CONFIDENCE] < 0.5 or call[keys.DISTANCE] > 0.99
        assert call[keys.UNASSIGNED] == marked


def test_a_cell_of_the_reference_gets_its_own_type(index, reference):
    calls = map_cells(reference, index, PARAMS)
    assert list(calls[keys.CELL_TYPE]) == list(index.labels)
    assert (calls[keys.CONFIDENCE] > 0.99).all()


def test_what_nothing_is_like_is_marked(index, reference):
    far = ReferenceIndex(index.vectors + 100, index.labels, index.names, index.own_distances, {})
    calls = map_cells(reference, far, PARAMS)
    assert (calls[keys.DISTANCE] == 1).all() and calls[keys.UNASSIGNED].all()
    assert set(calls[keys.CELL_TYPE]) <= set(index.labels)  # the best type is there all the same


def test_cells_without_a_label_are_left_out(embed, make, tmp_path, cells_file):
    cells = ad.read_h5ad(cells_file)
    cells.obs["cell_type"] = cells.obs["cell_type"].astype(object)
    cells.obs.iloc[:10, 0] = None
    cells.write_h5ad(tmp_path / "part.h5ad")
    found = make(embed(tmp_path / "part.h5ad", label_key="cell_type"))
    assert len(found.labels) == len(found.vectors) == 40
