"""The rate rises in a line to 1 and falls along half a cosine to the final share."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from sc_mamba2.training.optimization import rate_factor

shares = st.floats(0, 1)


def test_by_hand():
    factors = [rate_factor(step, 10, 0.2, 0.1) for step in range(11)]
    assert factors[:3] == [0.5, 1.0, 1.0]
    assert factors[6] == pytest.approx(0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi / 2)))
    assert factors[10] == pytest.approx(0.1)


@given(st.integers(1, 200), st.floats(0, 0.99), shares)
def test_shape(steps, warmup_share, final_share):
    factors = [rate_factor(step, steps, warmup_share, final_share) for step in range(steps + 1)]
    warmup = max(1, round(warmup_share * steps))
    assert all(0 < factor <= 1 for factor in factors[:warmup])
    assert factors[warmup - 1] == 1
    assert all(left < right for left, right in pairwise(factors[:warmup]))
    falling = factors[warmup:]
    assert all(left >= right for left, right in pairwise(falling))
    assert all(factor >= final_share - 1e-12 for factor in falling)


@given(st.integers(1, 50), st.integers(0, 100), shares)
def test_after_the_last_step_it_stays(steps, more, final_share):
    last = rate_factor(steps + 1 + more, steps, 0.0, final_share)
    assert last == pytest.approx(final_share)
