"""Batches hold what the cells hold; the order of cells is a pure function of seed and epoch."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from sc_mamba2.tokens import make_batch, reading_order, training_order, useful_share
from sc_mamba2.tokens.batches import PAD_BIN


def test_a_batch_against_its_cells(tokens, vocabulary):
    cells = np.array([5, 3, 0, 5])
    batch = make_batch(tokens, cells, vocabulary)
    longest = 1 + tokens.lengths[cells].max()
    assert batch.token_ids_BL.shape == batch.bins_BL.shape == batch.values_BL.shape == (4, longest)
    assert batch.token_ids_BL.dtype == torch.int64 and batch.bins_BL.dtype == torch.float32
    assert batch.cells_B.tolist() == [5, 3, 0, 5]
    assert batch.lengths_B.tolist() == (tokens.lengths[cells] + 1).tolist()
    for row, cell in enumerate(cells):
        mine, length = slice(*tokens.offsets[cell : cell + 2]), int(batch.lengths_B[row])
        assert batch.token_ids_BL[row, 0] == vocabulary.cls_id
        assert batch.bins_BL[row, 0] == batch.values_BL[row, 0] == 0
        assert batch.token_ids_BL[row, 1:length].tolist() == tokens.gene_rows[mine].tolist()
        assert batch.bins_BL[row, 1:length].tolist() == tokens.bins[mine].tolist()
        assert batch.values_BL[row, 1:length].tolist() == tokens.values[mine].tolist()
        assert (batch.token_ids_BL[row, length:] == vocabulary.pad_id).all()
        assert (batch.bins_BL[row, length:] == PAD_BIN).all()
        assert (batch.values_BL[row, length:] == 0).all()


def test_a_batch_of_an_empty_cell_is_cls_alone(tokens, vocabulary):
    batch = make_batch(tokens, np.array([3]), vocabulary)
    assert batch.token_ids_BL.tolist() == [[vocabulary.cls_id]] and batch.lengths_B.tolist() == [1]


def test_a_batch_moves_whole(tokens, vocabulary):
    moved = make_batch(tokens, np.array([0, 1]), vocabulary).to("meta")
    assert {getattr(moved, name).device.type for name in moved.__dataclass_fields__} == {"meta"}


lengths_arrays = st.lists(st.integers(0, 40), min_size=1, max_size=300).map(np.array)


@given(lengths_arrays, st.integers(1, 7), st.integers(0, 99), st.integers(0, 99))
def test_training_order_is_a_pure_permutation(lengths, batch_size, seed, epoch):
    order = training_order(lengths, batch_size, seed, epoch)
    assert sorted(np.concatenate(order)) == list(range(len(lengths)))
    assert len(order) == -(-len(lengths) // batch_size)
    assert sum(len(batch) < batch_size for batch in order) <= 1
    np.random.seed(seed)
    again = training_order(lengths, batch_size, seed, epoch)
    assert all(np.array_equal(left, right) for left, right in zip(order, again, strict=True))


def test_training_order_differs_by_seed_and_epoch():
    lengths = np.random.default_rng(0).integers(1, 50, 200)
    orders = [
        np.concatenate(training_order(lengths, 8, *which)).tolist()
        for which in ((0, 1), (0, 2), (1, 1), (1, 2), (2, 1))
    ]
    assert len({tuple(order) for order in orders}) == 5


def test_batches_are_not_sorted_by_length():
    lengths = np.random.default_rng(0).integers(1, 1000, 640)
    means = [lengths[batch].mean() for batch in training_order(lengths, 64, 0, 1)]
    assert means != sorted(means) and means != sorted(means)[::-1]


def test_buckets_leave_little_padding():
    lengths = np.random.default_rng(0).lognormal(np.log(900), 0.5, 5000).astype(int) + 1
    order = training_order(lengths, 64, seed=0, epoch=1)
    assert useful_share(lengths, order) >= 0.95
    shuffled = np.random.default_rng(1).permutation(5000)
    by_chance = [shuffled[start : start + 64] for start in range(0, 5000, 64)]
    assert useful_share(lengths, by_chance) < 0.6


@given(lengths_arrays, st.integers(1, 7))
def test_reading_order_is_sorted_and_covers_all(lengths, batch_size):
    batches = list(reading_order(lengths, batch_size))
    cells = np.concatenate(batches)
    assert sorted(cells) == list(range(len(lengths)))
    assert (np.diff(lengths[cells]) >= 0).all()
    assert max(map(len, batches)) <= batch_size


def test_useful_share_by_hand():
    lengths = np.array([1, 3, 0])
    assert useful_share(lengths, [np.array([0, 1]), np.array([2])]) == (2 + 4 + 1) / (4 + 4 + 1)
    assert useful_share(lengths, []) == 1
