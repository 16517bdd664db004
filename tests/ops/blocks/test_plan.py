"""Blocks read every token of every cell once, in either direction."""

import torch
from hypothesis import given, settings, strategies as st

from sc_mamba2.ops import cell_spans
from sc_mamba2.ops.blocks.plan import CHUNK, plan_groups

LENGTHS = st.lists(st.lists(st.integers(0, 90), min_size=2, max_size=2), min_size=1, max_size=5)


@given(lengths=LENGTHS, tokens=st.sampled_from([64, 128, 200, 1000]), reverse=st.booleans())
@settings(max_examples=60, deadline=None)
def test_each_token_once_in_reading_order(lengths, tokens, reverse):
    lengths_BS = torch.tensor(lengths)
    length = int(lengths_BS.sum(1).max()) + 2
    spans = cell_spans(lengths_BS, length)
    place_T1 = torch.arange(len(lengths) * length).unsqueeze(1)
    seen = {}
    for group in plan_groups(spans, tokens):
        for block in group.blocks(reverse):
            read_RT = block.read(place_T1, torch.int64).squeeze(-1)
            assert read_RT.shape[1] % block.chunk == 0
            assert block.chunk <= CHUNK
            real_RT = torch.ones_like(read_RT, dtype=torch.bool)
            real_RT = real_RT if block.real_RT is None else block.real_RT
            for cell, places, real in zip(group.starts_R.tolist(), read_RT, real_RT, strict=True):
                assert not real.diff().any() or real.int().diff().max() <= 0  # pads at the end
                seen.setdefault(cell, []).extend(places[real].tolist())
    for start, size in zip(spans.starts.tolist(), spans.lengths.tolist(), strict=True):
        expected = list(range(start, start + size))
        assert seen.pop(start) == (expected[::-1] if reverse else expected)
    assert not seen


@given(lengths=st.lists(st.integers(0, 150), min_size=1, max_size=6), reverse=st.booleans())
@settings(max_examples=40, deadline=None)
def test_adding_what_was_read_gives_the_rows_back(lengths, reverse):
    lengths_B = torch.tensor(lengths)
    length = max(lengths) + 1
    rows = torch.randn(len(lengths) * length, 2)
    target = torch.zeros_like(rows)
    for group in plan_groups(cell_spans(lengths_B, length), 128):
        for block in group.blocks(reverse):
            block.add(target, block.read(rows, torch.float32))
    real = (torch.arange(length) < lengths_B[:, None]).flatten()
    assert torch.equal(target[real], rows[real])
    assert not target[~real].any()


def test_read_real_is_zero_beyond_a_cell():
    spans = cell_spans(torch.tensor([[70], [3]]), 70)
    (group,) = plan_groups(spans, 1000)
    (block,) = group.blocks(False)
    part = block.read_real(torch.ones(140, 1), torch.float32)
    assert part.sum() == 73
    assert not part[1, 3:].any()
