"""The backbone: shapes, pads, path, and a golden cell that must not move."""

import numpy as np
import pytest
import torch

from sc_mamba2.errors import UserError
from sc_mamba2.model import Backbone, preset

# First numbers of the cell below, computed in fp64 by the step-by-step path.
GOLDEN = [
    0.04193512,
    -1.00016574,
    1.40899345,
    0.04464313,
    -2.18877489,
    -0.20181272,
    0.36169855,
    0.01598083,
]


def fill(module, seed):
    """Set every parameter from raw PCG64 bits, whose stream numpy promises never to change."""
    bits = np.random.PCG64(seed)
    centre = {"A_log": 1.0, "dt_bias": -3.0, "D": 1.0}
    with torch.no_grad():
        for name, parameter in sorted(module.named_parameters()):
            raw = bits.random_raw(parameter.numel()) >> np.uint64(11)
            uniform = torch.from_numpy(raw / 2.0**52 - 1.0).reshape(parameter.shape)
            if parameter.dim() >= 2:
                uniform = uniform / parameter[0].numel() ** 0.5
            elif "norm" in name and name.endswith("weight"):
                uniform = 1 + uniform / 10
            parameter.copy_(uniform + centre.get(name.rsplit(".", 1)[-1], 0.0))


@pytest.mark.parametrize("path", ["blocked", "reference"])
def test_the_golden_cell(path):
    backbone = Backbone(preset("micro", 200)).eval()
    fill(backbone, 20240930)
    backbone.scan_path = path
    ids = (torch.arange(150) * 7 % 198 + 1)[None]
    values = (torch.arange(150) * 11 % 51).float()[None]
    with torch.no_grad():
        cell = backbone.encode(ids, values, torch.tensor([150]))
    expected = torch.tensor(GOLDEN)
    assert float((cell[0, :8] - expected).abs().max() / expected.abs().max()) < 1e-5


def test_hidden_vectors_are_zero_at_pads_and_the_first_is_the_cell():
    backbone = Backbone(preset("micro", 9))
    ids, values = torch.randint(0, 9, (2, 7)), torch.randint(0, 51, (2, 7)).float()
    hidden = backbone(ids, values, torch.tensor([7, 3]))
    assert hidden.shape == (2, 7, 64)
    assert not hidden[1, 3:].any()
    assert torch.equal(backbone.encode(ids, values, torch.tensor([7, 3])), hidden[:, 0])


@pytest.mark.parametrize("cell_start", ["token", "genes"])
def test_every_parameter_gets_a_gradient(cell_start):
    backbone = Backbone(preset("micro", 9, feed_forward=16, cell_start=cell_start))
    hidden = backbone(
        torch.randint(0, 9, (2, 7)), torch.randint(0, 51, (2, 7)).float(), torch.tensor([7, 3])
    )
    (hidden * torch.randn_like(hidden)).sum().backward()
    silent = [n for n, p in backbone.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_the_path_is_settable_and_an_unknown_one_is_refused():
    torch.manual_seed(0)
    backbone = Backbone(preset("micro", 9)).double()
    batch = (
        torch.randint(0, 9, (2, 7)),
        torch.randint(0, 51, (2, 7)).float(),
        torch.tensor([7, 3]),
    )
    blocked = backbone(*batch)
    backbone.scan_path = "reference"
    torch.testing.assert_close(backbone(*batch), blocked, rtol=1e-10, atol=1e-10)
    backbone.scan_path = "fast"
    with pytest.raises(UserError, match="scan-path"):
        backbone(*batch)


def test_recomputed_layers_give_the_same_gradients():
    batch = (
        torch.randint(0, 9, (2, 90)),
        torch.randint(0, 51, (2, 90)).float(),
        torch.tensor([90, 30]),
    )
    results = []
    for recompute in (False, True):
        torch.manual_seed(0)
        backbone = Backbone(preset("micro", 9, dropout=0.2)).train()
        backbone.recompute_layers = recompute
        hidden = backbone(*batch)
        hidden.square().sum().backward()
        results.append([hidden.detach(), *(p.grad for p in backbone.parameters())])
    for found, expected in zip(*results, strict=True):
        assert torch.equal(found, expected)


def test_the_gene_embedding_is_in_reach():
    backbone = Backbone(preset("micro", 9))
    assert backbone.gene_embedding.weight.shape == (9, 64)


def test_integer_values_and_int32_ids_are_taken():
    backbone = Backbone(preset("micro", 9)).eval()
    ids, values, lengths = (
        torch.randint(0, 9, (1, 5)),
        torch.randint(0, 51, (1, 5)),
        torch.tensor([5]),
    )
    expected = backbone(ids, values.float(), lengths)
    assert torch.equal(backbone(ids.int(), values, lengths.int()), expected)


def test_a_cell_that_starts_as_its_genes_depends_on_nothing_else():
    torch.manual_seed(0)
    backbone = Backbone(preset("micro", 30, cell_start="genes")).double()
    lengths = torch.tensor([0, 7, 3])
    ids, values = torch.randint(1, 30, (3, 9)), torch.randint(-1, 51, (3, 9)).double()
    together = backbone(ids, values, lengths)
    assert not together[0].any()
    for row in (1, 2):
        mine = slice(0, int(lengths[row]))
        alone = backbone(
            ids[row : row + 1, mine], values[row : row + 1, mine], lengths[row : row + 1]
        )
        torch.testing.assert_close(together[row, mine], alone[0], rtol=1e-12, atol=1e-12)
    packed_ids = torch.cat([ids[1, :7], ids[2, :3]])[None]
    packed_values = torch.cat([values[1, :7], values[2, :3]])[None]
    packed = backbone(packed_ids, packed_values, torch.tensor([[7, 3]]))[0]
    torch.testing.assert_close(packed[:7], together[1, :7], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(packed[7:], together[2, :3], rtol=1e-12, atol=1e-12)
    changed = values.clone()
    changed[1, 4] += 5
    assert not torch.equal(backbone(ids, changed, lengths)[1, 0], together[1, 0])
