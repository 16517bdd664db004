"""Knock-outs against a cell-by-cell twin; what is specific of them."""

import numpy as np
import torch

from sc_mamba2.tasks.gene_network.knockouts import knock_out, specific


def slow_changes(model, tokens, row: int, targets: list[int]) -> np.ndarray:
    """One cell at a time: the decoded targets with the gene minus without it."""
    changes = []
    for at in range(len(tokens)):
        cell = tokens.take(np.array([at]))
        if row not in cell.gene_rows:
            continue
        told = []
        for kept in (np.ones(len(cell.gene_rows), bool), cell.gene_rows != row):
            ids = torch.tensor([[1, *cell.gene_rows[kept].tolist()]])
            bins = torch.tensor([[0.0, *cell.bins[kept].tolist()]], dtype=torch.float64)
            with torch.no_grad():
                hidden = model.backbone(ids, bins, torch.tensor([ids.shape[1]]))
                genes = model.backbone.gene_encoder(torch.tensor([targets]))
                told.append(model.cell_expression_decoder(hidden[:, 0], genes).value[0].numpy())
        changes.append(told[0] - told[1])
    return np.array(changes)


def test_knock_outs_are_those_of_single_cells(model, tokens):
    targets = [2, 4, 5, 6]
    rows = [3, 9, 5]  # no cell expresses the second
    found = knock_out(model, tokens, np.array(rows), np.array(targets), 100, 4)
    for at in (0, 2):
        changes = slow_changes(model, tokens, rows[at], targets)
        assert found.cells_R[at] == len(changes) > 2
        np.testing.assert_allclose(found.effect_RT[at], changes.mean(axis=0), atol=1e-6)
        spread = changes.std(axis=0)
        strength = changes.mean(axis=0) / (spread + np.median(spread))
        np.testing.assert_allclose(found.strength_RT[at], strength, rtol=1e-3, atol=1e-5)
    assert not found.cells_R[1] and not found.effect_RT[1].any() and not found.specific_RT[1].any()


def test_what_all_regulators_do_alike_is_not_specific():
    shared = np.random.default_rng(0).normal(size=50)
    strength = np.outer([1.0, 2.0, -0.0, 5.0], shared)
    np.testing.assert_allclose(specific(strength), 0, atol=1e-9)
    strength[1, 7] += 20
    assert np.unravel_index(np.abs(specific(strength)).argmax(), strength.shape) == (1, 7)
