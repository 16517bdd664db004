import numpy as np
import pytest

from sc_mamba2.metrics.prediction import foscttm


def plain(one: np.ndarray, other: np.ndarray) -> float:
    shares = []
    for a, b in ((one, other), (other, one)):
        for cell in range(len(a)):
            away = np.linalg.norm(b - a[cell], axis=1)
            others = np.delete(away, cell)
            nearer = (others < away[cell]).sum() + (others == away[cell]).sum() / 2
            shares.append(nearer / (len(a) - 1))
    return float(np.mean(shares))


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_definition_written_out_in_blocks_too(seed, monkeypatch):
    monkeypatch.setattr("sc_mamba2.metrics.prediction.CELLS_AT_ONCE", 7)
    generator = np.random.default_rng(seed)
    one = generator.normal(size=(25, 4))
    other = one + generator.normal(size=(25, 4))
    assert foscttm(one, other) == pytest.approx(plain(one, other), abs=1e-12)


def test_the_same_embedding_matches_and_one_spot_is_chance():
    one = np.random.default_rng(0).normal(size=(20, 3))
    assert foscttm(one, one) == 0
    assert foscttm(np.zeros((20, 3)), np.zeros((20, 3))) == pytest.approx(0.5)
