"""The order of cells: every cell once an epoch, the same for any ranks, resumed at any batch."""

import pickle
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from tests.properties import promised

from sc_mamba2.errors import UserError
from sc_mamba2.tokens import Sampler, rank_share, reading_order, weights_by_group

lengths_arrays = st.lists(st.integers(0, 40), min_size=1, max_size=300).map(np.array)
samplers = st.builds(
    Sampler,
    lengths=lengths_arrays,
    batch_size=st.integers(1, 7),
    seed=st.integers(0, 99),
    block=st.sampled_from([1, 2, 5, 64]),
    window=st.sampled_from([1, 3, 100]),
)
epochs = st.integers(0, 99)


def listed(batches) -> list[list[int]]:
    return [batch.tolist() for batch in batches]


@promised
@given(samplers, epochs)
def test_every_cell_once_an_epoch_in_full_batches(sampler, epoch):
    batches = list(sampler.batches(epoch))
    assert np.sort(np.concatenate(batches)).tolist() == list(range(len(sampler.lengths)))
    assert len(batches) == len(sampler)
    assert sum(len(batch) < sampler.batch_size for batch in batches) <= 1
    assert all((np.diff(sampler.lengths[batch]) >= 0).all() for batch in batches)


@promised
@given(samplers, epochs, st.data())
def test_to_resume_is_to_read_the_suffix(sampler, epoch, data):
    start = data.draw(st.integers(0, len(sampler)))
    whole = listed(sampler.batches(epoch))
    np.random.seed(epoch)
    again = pickle.loads(pickle.dumps(sampler))
    assert listed(again.batches(epoch, start)) == whole[start:]


@promised
@given(samplers, epochs, st.sampled_from([1, 2, 3, 5, 11]))
def test_the_ranks_parts_are_the_batch(sampler, epoch, ranks):
    for batch in sampler.batches(epoch):
        parts = [rank_share(batch, rank, ranks) for rank in range(ranks)]
        assert np.concatenate(parts).tolist() == batch.tolist()
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_other_seeds_and_epochs_give_other_orders():
    lengths = np.random.default_rng(0).integers(1, 50, 200)
    orders = {
        str(listed(Sampler(lengths, 8, seed).batches(epoch)))
        for seed, epoch in ((0, 1), (0, 2), (1, 1), (1, 2), (2, 1))
    }
    assert len(orders) == 5


def test_a_window_reads_whole_blocks():
    """Of 6,400 cells in blocks of 64: at most 100 runs, and two that a border cuts."""
    sampler = Sampler(np.ones(100_000, np.int32), 64, seed=0)
    batches = list(sampler.batches(3))
    for first in range(0, 1500, 100):
        cells = np.sort(np.concatenate(batches[first : first + 100]))
        assert 1 + (np.diff(cells) != 1).sum() <= 103
        assert cells[-1] - cells[0] > 80_000


def test_blocks_are_cut_at_other_places_every_epoch():
    """Else neighbours would share every window for ever."""
    apart = []
    for epoch in range(20):
        first = np.concatenate(list(Sampler(np.ones(1000), 8, 0, 8, 1).batches(epoch))[:1])
        apart.append(first.min() % 8)
    assert len(set(apart)) > 4


def test_batches_are_not_sorted_by_length():
    lengths = np.random.default_rng(0).integers(1, 1000, 640)
    means = [lengths[batch].mean() for batch in Sampler(lengths, 64, 0).batches(1)]
    assert means != sorted(means) and means != sorted(means)[::-1]


def useful_share(lengths, batches):
    """Return the share of a padded epoch's tokens that are real, `<cls>` with them."""
    padded = sum(len(batch) * (1 + lengths[batch].max()) for batch in batches)
    return (lengths.sum() + len(lengths)) / padded


@pytest.mark.parametrize("median", [900, 2000])
@pytest.mark.parametrize("sorted_by_depth", [True, False])
def test_buckets_leave_little_padding(median, sorted_by_depth):
    lengths = np.random.default_rng(0).lognormal(np.log(median), 0.5, 20_000).astype(int) + 1
    lengths = np.sort(lengths) if sorted_by_depth else lengths
    assert useful_share(lengths, list(Sampler(lengths, 64, seed=0).batches(1))) >= 0.95
    shuffled = np.random.default_rng(1).permutation(20_000)
    by_chance = [shuffled[start : start + 64] for start in range(0, 20_000, 64)]
    assert useful_share(lengths, by_chance) < 0.6


def test_millions_of_cells_cost_a_window():
    sampler = Sampler(np.broadcast_to(np.int32(2000), 57_000_000), 512, seed=0)
    last = list(sampler.batches(1, len(sampler) - 1))
    assert len(last) == 1 and last[0].max() < 57_000_000


weights_arrays = st.lists(st.sampled_from([0.0, 0.1, 1.0, 2.5, 30.0]), min_size=2, max_size=120)


@given(weights_arrays.filter(any).map(np.array), st.integers(0, 9), st.integers(1, 9))
def test_weighted_cells_come_as_often_as_their_weight_asks(weights, epoch, block):
    sampler = Sampler(np.ones(len(weights)), 4, seed=0, block=block, window=2, weights=weights)
    counts = np.bincount(np.concatenate(list(sampler.batches(epoch))), minlength=len(weights))
    expected = weights * len(weights) / weights.sum()
    assert counts.sum() == len(weights)
    assert (np.abs(counts - expected) < 1 + 1e-9).all()
    assert not counts[weights == 0].any()
    resumed = listed(sampler.batches(epoch, len(sampler) // 2))
    assert resumed == listed(sampler.batches(epoch))[len(sampler) // 2 :]


def test_weights_hold_on_average_over_epochs():
    weights = np.random.default_rng(0).choice([0.2, 1.0, 3.0], 50)
    sampler = Sampler(np.ones(50), 8, seed=0, weights=weights)
    drawn = np.concatenate([batch for epoch in range(400) for batch in sampler.batches(epoch)])
    share = np.bincount(drawn, minlength=50) / 400
    assert np.allclose(share, weights * 50 / weights.sum(), atol=0.1)


def test_copies_of_a_cell_lie_apart():
    weights = np.ones(50_000)
    weights[::100] = 40
    sampler = Sampler(np.ones(50_000), 64, seed=0, weights=weights)
    twice = sum(len(batch) - len(np.unique(batch)) for batch in sampler.batches(0))
    assert twice < 0.01 * 50_000


@pytest.mark.parametrize("form", [np.array, pd.Categorical, pd.Series])
def test_groups_have_their_shares(form):
    groups = ["lung"] * 900 + ["eye"] * 90 + ["skin"] * 9 + [None]
    weights = weights_by_group(form(groups), {"lung": 1, "eye": 1})
    cells = np.concatenate(list(Sampler(np.ones(1000), 8, 0, weights=weights).batches(0)))
    counts = Counter(groups[cell] for cell in cells)
    assert abs(counts["lung"] - 500) <= 1 and abs(counts["eye"] - 500) <= 1 and len(counts) == 2


def test_a_share_for_no_group():
    with pytest.raises(UserError, match=r"sampling-group.*'lung'\?"):
        weights_by_group(np.array(["lung", "eye"]), {"lungs": 1})


@given(lengths_arrays, st.integers(1, 7))
def test_reading_order_is_sorted_and_covers_all(lengths, batch_size):
    batches = list(reading_order(lengths, batch_size))
    cells = np.concatenate(batches)
    assert sorted(cells) == list(range(len(lengths)))
    assert (np.diff(lengths[cells]) >= 0).all()
    assert max(map(len, batches)) <= batch_size
