"""Cells that are bags: the bag by its formula, what queries read, packed rows, pads, the part that is read."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from sc_mamba2.errors import UserError
from sc_mamba2.model import Backbone, preset

V, D = 40, 16
LENGTHS = torch.tensor([9, 1, 14, 5])


def new_backbone(**changes):
    torch.manual_seed(0)
    shape = {"d_model": D, "d_state": 8, "head_dim": 8, "n_layers": 2, "initializer_std": 0.5}
    backbone = Backbone(preset("micro", V, value_encoder="counts", **{**shape, **changes})).double()
    with torch.no_grad():  # as after some training: the queries' reading begins at zero
        backbone.counted_cells.reading.weight.normal_(std=0.3)
    return backbone.eval()


@pytest.fixture(scope="module")
def backbone():
    return new_backbone()


@pytest.fixture(scope="module")
def cells():
    draw = np.random.default_rng(0)
    ids, counts = torch.zeros(4, 14, dtype=torch.int64), torch.full((4, 14), -2.0)
    for row, length in enumerate(LENGTHS.tolist()):
        ids[row, 0], counts[row, 0] = 1, 0
        genes = np.sort(draw.choice(np.arange(2, V), length - 1, replace=False))
        ids[row, 1:length] = torch.from_numpy(genes)
        counts[row, 1:length] = torch.from_numpy(draw.integers(1, 9, length - 1)).float()
    return ids, counts.double()


def slow_bag(backbone, ids, counts):
    total = counts.sum()
    summed = sum(
        (count / max(total, 1)) ** 0.5 * backbone.gene_embedding.weight[gene]
        for gene, count in zip(ids, counts, strict=True)
    )
    depth = torch.log1p(total) / 10
    return backbone.counted_cells.bag(torch.cat([summed, depth.reshape(1)])), depth


def test_a_cell_is_its_bag_and_what_the_queries_read(backbone, cells):
    ids, counts = cells
    hidden = backbone(ids, counts, LENGTHS)
    parts = backbone.counted_cells
    for row, length in enumerate(LENGTHS.tolist()):
        bag, depth = slow_bag(backbone, ids[row, :length], counts[row, :length])
        told = torch.stack([counts[row, :length].log1p(), depth.expand(length)], dim=1)
        embedded = backbone.gene_encoder(ids[row, :length]) + parts.value(told)
        x_LD = backbone.input_norm(embedded + parts.context(parts.norm(bag)), None)[None]
        for layer in backbone.layers:
            x_LD = layer(x_LD, torch.tensor([length]))
        h_LD = backbone.final_norm(x_LD)[0]
        torch.testing.assert_close(hidden[row, 1:length], h_LD[1:], rtol=0, atol=1e-12)
        read = [(h_LD @ query).softmax(0) @ h_LD for query in parts.query_QD]
        cell = parts.norm(bag + parts.reading(torch.cat(read)))
        torch.testing.assert_close(hidden[row, 0], cell, rtol=0, atol=1e-12)
    assert (hidden[1, 1:] == 0).all()


def test_at_the_start_the_trunk_changes_nothing_of_the_cell(cells):
    backbone = new_backbone()
    with torch.no_grad():
        backbone.counted_cells.reading.weight.zero_()
    without = new_backbone(n_layers=0)
    without.load_state_dict(
        {
            name: part
            for name, part in backbone.state_dict().items()
            if not name.startswith("layers.")
        }
    )
    one, other = (model.encode(*cells, LENGTHS) for model in (backbone, without))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_packed_cells_are_the_cells_one_a_row(backbone, cells):
    ids, counts = cells
    alone = backbone(ids, counts, LENGTHS)
    order = [2, 1, 0, 3]
    spans = [slice(0, int(LENGTHS[row])) for row in range(4)]
    packed_ids = torch.zeros(2, 20, dtype=torch.int64)
    packed_counts = torch.full((2, 20), -2.0, dtype=torch.float64)
    lengths = torch.tensor([[14, 1], [9, 5]])
    for row, pair in enumerate((order[:2], order[2:])):
        length = int(lengths[row].sum())
        packed_ids[row, :length] = torch.cat([ids[cell, spans[cell]] for cell in pair])
        packed_counts[row, :length] = torch.cat([counts[cell, spans[cell]] for cell in pair])
    found = backbone.encode(packed_ids, packed_counts, lengths)
    torch.testing.assert_close(found, alone[order, 0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("more", [1, 70])
def test_pads_change_nothing(backbone, cells, more):
    ids, counts = cells
    wide_ids = functional.pad(ids, (0, more), value=7)
    wide_counts = functional.pad(counts, (0, more), value=float("nan"))
    alone, wide = backbone(ids, counts, LENGTHS), backbone(wide_ids, wide_counts, LENGTHS)
    torch.testing.assert_close(wide[:, :14], alone, rtol=0, atol=1e-11)
    assert (wide[:, 14:] == 0).all()


def test_the_bag_holds_what_the_layers_do_not_read(backbone, cells):
    ids, counts = cells
    read = torch.tensor([4, 1, 6, 5])
    part = backbone(ids, counts, LENGTHS, read_B=read)
    assert part.shape == (4, 6, D)
    # A cell all of whose tokens are read is as it was.
    torch.testing.assert_close(
        part[3, :5], backbone(ids, counts, LENGTHS)[3, :5], rtol=0, atol=1e-12
    )
    changed = counts.clone()
    changed[2, 13] = 40  # a count that no layer reads
    assert not torch.allclose(backbone(ids, changed, LENGTHS, read_B=read)[2, 0], part[2, 0])
    torch.testing.assert_close(
        backbone(ids, changed, LENGTHS, read_B=read)[0], part[0], rtol=0, atol=1e-12
    )


def test_every_weight_gets_a_gradient(cells):
    backbone = new_backbone()
    backbone(*cells, LENGTHS).square().sum().backward()
    without = [name for name, part in backbone.named_parameters() if part.grad is None]
    assert without == []
    assert all(torch.isfinite(part.grad).all() for part in backbone.parameters())


def test_two_bags_at_once_are_refused():
    with pytest.raises(UserError, match=r"model-config.*set cell_start to token"):
        preset("micro", V, value_encoder="counts", cell_start="genes")


@pytest.mark.parametrize("most", [1, 3, 4, 8, 12])
def test_a_backbone_that_reads_a_part_is_one_that_is_given_this_part(cells, most):
    ids, counts = cells
    some, whole = new_backbone(read_tokens=most), new_backbone()
    some.load_state_dict(whole.state_dict())
    found = some(ids, counts, LENGTHS)
    assert found.shape == (4, 14, D)
    for row, length in enumerate(LENGTHS.tolist()):
        genes = length - 1
        # Every place p of n where floor(p most / n) grows, written as a loop.
        taken = [p for p in range(genes) if (p + 1) * most // genes > p * most // genes]
        assert len(taken) == min(most, genes)
        order = [0, *(p + 1 for p in taken)]
        rest = [p for p in range(length) if p not in order]
        told = whole(
            ids[row, order + rest][None],
            counts[row, order + rest][None],
            torch.tensor([length]),
            read_B=torch.tensor([len(order)]),
        )[0]
        torch.testing.assert_close(found[row, order], told, rtol=0, atol=1e-12)
        assert (found[row, rest] == 0).all() and (found[row, length:] == 0).all()


def test_to_read_a_part_needs_a_bag():
    with pytest.raises(UserError, match=r"model-config.*read_tokens needs a bag"):
        preset("micro", V, read_tokens=5)
