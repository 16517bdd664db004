"""The hash is splitmix64's, spreads evenly, and depends on every part and on their order."""

import numpy as np

from sc_mamba2.tokens.hashing import as_uniform, hash_of, mix

FIRST_OUTPUTS = (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F)  # of seed 0


def test_published_outputs():
    states = np.arange(3, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert tuple(map(int, mix(states))) == FIRST_OUTPUTS


def test_every_part_and_their_order_matter():
    hashes = [hash_of(*parts)[0] for parts in ((1, 2, 3), (2, 1, 3), (1, 2, 4), (1, 2), (1, 2, 0))]
    assert len(set(map(int, hashes))) == 5


def test_parts_are_broadcast():
    hashes = hash_of(7, np.arange(3)[:, None], np.arange(5))
    assert hashes.shape == (3, 5) and hashes[2, 4] == hash_of(7, 2, 4)[0]


def test_uniform():
    numbers = as_uniform(hash_of(0, np.arange(100_000)))
    assert numbers.min() >= 0 and numbers.max() < 1
    assert np.abs(np.histogram(numbers, 10, (0, 1))[0] / 10_000 - 1).max() < 0.05
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 0.01
    assert as_uniform(np.array([2**64 - 1], np.uint64))[0] < 1
