"""Batches hold what the cells hold."""

import numpy as np
import torch

from sc_mamba2.tokens import make_batch
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
