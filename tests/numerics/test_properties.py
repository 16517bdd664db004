"""Properties 1 and 3 to 6 of the whole backbone; 2 stands in `ops`, 7 and 8 in `model`.

Differences are relative: largest difference over largest absolute value.
"""

import pytest
import torch

from sc_mamba2.model import Backbone, preset

VOCABULARY = 60
PATHS = ("blocked", "reference")
# The plain path takes ten times as long, and does not look at the form of what is around the scan.
FORMS_AND_PATHS = [
    pytest.param(form, path, marks=[pytest.mark.slow] * (path == "reference" and form != "own"))
    for form in ("own", "release", "figure", "untied")
    for path in PATHS
]
FORMS = {
    "own": {},
    "release": {"norm": "none", "final_norm": False, "input_norm": "batch"},
    "figure": {"norm": "layer", "norm_position": "post", "feed_forward": 32, "final_norm": False},
    "untied": {"tied_directions": False},
}


def make(form="own", dtype=torch.float64, path="blocked", **overrides):
    torch.manual_seed(0)
    backbone = Backbone(preset("micro", VOCABULARY, **{**FORMS[form], **overrides}))
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    backbone.scan_path = path
    return backbone.to(dtype).eval()


def cells(lengths, dtype=torch.float64, seed=1):
    generator = torch.Generator().manual_seed(seed)
    shape = (len(lengths), max(lengths))
    ids = torch.randint(1, VOCABULARY, shape, generator=generator)
    values = torch.randint(0, 51, shape, generator=generator).to(dtype)
    return ids, values, torch.tensor(lengths)


def relative(found, expected):
    found, expected = found.detach(), expected.detach()
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-300))


@pytest.mark.parametrize("form", FORMS)
def test_1_the_fast_backbone_equals_run_flip_run_flip_back(form):
    batch = cells([90, 1, 64, 33])
    results = []
    for path in PATHS:
        backbone = make(form, path=path)
        hidden = backbone(*batch)
        pull = torch.randn(hidden.shape, generator=torch.Generator().manual_seed(2)).double()
        (hidden * pull).sum().backward()
        gradients = {name: p.grad for name, p in backbone.named_parameters()}
        results.append({"hidden": hidden, **gradients})
    for name, expected in results[1].items():
        assert relative(results[0][name], expected) < 1e-12, name


@pytest.mark.parametrize(("form", "path"), FORMS_AND_PATHS)
@pytest.mark.parametrize(
    "more", [1, 64, *(pytest.param(more, marks=pytest.mark.slow) for more in (0, 7, 128))]
)
def test_3_pads_change_nothing_whatever_they_hold(form, path, more):
    backbone, lengths = make(form, path=path), [70, 12, 1]
    ids, values, lengths_B = cells(lengths)
    expected = backbone(ids, values, lengths_B)
    generator = torch.Generator().manual_seed(3)
    wide_ids = torch.randint(0, VOCABULARY, (3, 70 + more), generator=generator)
    wide_values = torch.full((3, 70 + more), float("nan"), dtype=torch.float64)
    wide_values[:, ::2], wide_values[:, 1::4] = 1e300, float("-inf")
    for row, kept in enumerate(lengths):
        wide_ids[row, :kept], wide_values[row, :kept] = ids[row, :kept], values[row, :kept]
    found = backbone(wide_ids, wide_values, lengths_B)
    assert relative(found[:, :70], expected) < 1e-11
    assert not found[:, 70:].any()


def test_3_garbage_in_pads_reaches_no_gradient():
    ids, values, lengths = cells([30, 9])
    values[1, 9:] = float("nan")
    backbone = make()
    backbone(ids, values, lengths).square().sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in backbone.parameters())


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("inside", [True, False])
def test_autocast_to_half_precision_stays_close(path, inside):
    backbone = make(dtype=torch.float32, path=path)
    batch = cells([30, 9], torch.float32)
    expected = backbone(*batch)
    with torch.autocast("cpu", torch.bfloat16):
        hidden = backbone(*batch)
        if inside:
            hidden.float().square().sum().backward()
    if not inside:
        hidden.float().square().sum().backward()
    assert relative(hidden.float(), expected) < 5e-2
    assert all(torch.isfinite(parameter.grad).all() for parameter in backbone.parameters())


@pytest.mark.parametrize(("layers", "bound"), [(4, 1e-5), (12, 3e-5)])
def test_3_and_4_in_single_precision(layers, bound):
    torch.manual_seed(0)
    backbone = Backbone(preset("micro", VOCABULARY, n_layers=layers)).eval()
    ids, values, lengths = cells([100, 61, 3], torch.float32)
    expected = backbone(ids, values, lengths)
    for more in (1, 28, 128):
        padded = [torch.nn.functional.pad(part, (0, more), value=5) for part in (ids, values)]
        assert relative(backbone(*padded, lengths)[:, :100], expected) < bound
    for row, kept in enumerate(lengths.tolist()):
        one = slice(row, row + 1)
        alone = backbone(ids[one, :kept], values[one, :kept], lengths[one])
        assert relative(alone[0], expected[row, :kept]) < bound


@pytest.mark.parametrize(("form", "path"), FORMS_AND_PATHS)
def test_4_a_cell_does_not_depend_on_its_batch(form, path):
    backbone, lengths = make(form, path=path), [40, 23, 1, 40, 8]
    ids, values, lengths_B = cells(lengths)
    expected = backbone(ids, values, lengths_B)
    for row, kept in enumerate(lengths):
        one = slice(row, row + 1)
        alone = backbone(ids[one, :kept], values[one, :kept], lengths_B[one])
        assert relative(alone[0], expected[row, :kept]) < 1e-11
    order = torch.tensor([3, 0, 4, 2, 1])
    permuted = backbone(ids[order], values[order], lengths_B[order])
    assert relative(permuted, expected[order]) < 1e-11


@pytest.mark.parametrize(("form", "path"), FORMS_AND_PATHS)
def test_4_a_cell_does_not_depend_on_what_it_is_packed_with(form, path):
    ids, values, lengths = cells([40, 23, 1, 70, 8])
    results = []
    for packed in (False, True):
        backbone = make(form, path=path)
        if packed:
            parts = [(ids[row, :kept], values[row, :kept]) for row, kept in enumerate(lengths)]
            padded = [torch.nn.functional.pad(torch.cat(part), (0, 5)) for part in zip(*parts)]
            cell = backbone.encode(*(part[None] for part in padded), lengths[None])
        else:
            cell = backbone.encode(ids, values, lengths)
        cell.square().sum().backward()
        gradients = {name: p.grad for name, p in backbone.named_parameters()}
        results.append({"cell": cell, **{n: g for n, g in gradients.items() if g is not None}})
    for name, expected in results[0].items():
        # Pads train the embedding of `<pad>` only where the release's batch norm sees them: never.
        assert relative(results[1][name], expected) < 1e-11, name


@pytest.mark.parametrize("path", PATHS)
def test_5_packed_cells_do_not_reach_each_other(path):
    backbone = make(path=path, n_layers=1)
    ids, values, _ = cells([12])
    values.requires_grad_()
    hidden = backbone(ids, values, torch.tensor([[5, 6]]))
    for token in range(11):
        (reach,) = torch.autograd.grad(hidden[0, token].sum(), values, retain_graph=True)
        own = torch.zeros(12, dtype=torch.bool)
        own[:5] = token < 5
        own[5:11] = token >= 5
        assert reach[0, own].abs().min() > 0
        assert not reach[0, ~own].any()


@pytest.mark.parametrize(("form", "path"), FORMS_AND_PATHS)
def test_5_every_token_reaches_every_other(form, path):
    backbone = make(form, path=path, n_layers=1)
    ids, values, lengths = cells([12, 9])
    values.requires_grad_()
    hidden = backbone(ids, values, lengths)
    for row, kept in enumerate(lengths.tolist()):
        for token in range(kept):
            (reach,) = torch.autograd.grad(hidden[row, token].sum(), values, retain_graph=True)
            assert reach[row, :kept].abs().min() > 0
            assert not reach[row, kept:].any()
            assert not reach[1 - row].any()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("form", ["own", "release", "figure"])
def test_6_reversed_tokens_give_reversed_outputs(form, path):
    backbone = make(form, path=path)
    ids, values, lengths = cells([75])
    expected = backbone(ids, values, lengths).flip(1)
    assert relative(backbone(ids.flip(1), values.flip(1), lengths), expected) < 1e-12


def test_6_untied_directions_do_not_commute_with_reversal():
    backbone = make("untied")
    ids, values, lengths = cells([20])
    expected = backbone(ids, values, lengths).flip(1)
    assert relative(backbone(ids.flip(1), values.flip(1), lengths), expected) > 1e-3
