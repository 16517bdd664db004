"""The GPU path: what it asks of the kernels (doubles in their place), and parity on a GPU."""

import sys

import pytest
import torch
from tests.ops.mixers import PACKED, RAGGED, mixer_tensors, relative, rows_for, weights_of
from torch.nn import functional

from sc_mamba2.model import Mamba2Mixer, preset
from sc_mamba2.ops import bidirectional_scan, kernels, kernels_missing, ssd_reference


def convolve_double(x_BCL, weight_CK, bias_C, seq_idx, activation):
    """`causal_conv1d_fn`: taps on tokens of another sequence count as zero."""
    assert activation == "silu"
    u = bias_C[:, None] + x_BCL * weight_CK[:, -1:]
    for lag in range(1, weight_CK.shape[1]):
        same = (seq_idx[:, lag:] == seq_idx[:, :-lag]).unsqueeze(1)
        earlier = (x_BCL[..., :-lag] * same) * weight_CK[:, -1 - lag, None]
        u = u + functional.pad(earlier, (lag, 0))
    return functional.silu(u)


def scan_double(x, dt, A, B, C, chunk, D, dt_bias, dt_softplus, seq_idx):
    """`mamba_chunk_scan_combined`: each run of one sequence number by itself."""
    assert dt_softplus
    dt = functional.softplus(dt + dt_bias)
    out = torch.empty_like(x)
    for row in range(len(x)):
        for number in seq_idx[row].unique():
            at = seq_idx[row] == number
            parts = (part[row, at].unsqueeze(0) for part in (x, dt, B[:, :, 0], C[:, :, 0]))
            one_x, one_dt, one_B, one_C = parts
            out[row, at] = ssd_reference(one_x, one_dt, A, one_B, one_C, D)[0]
    return out


def norm_double(x, weight, bias, z, eps, norm_before_gate):
    assert bias is None
    assert not norm_before_gate
    return functional.rms_norm(x * functional.silu(z), weight.shape, weight, eps)


def split_double(
    zxbcdt, conv_weight, conv_bias, dt_bias, A, *, chunk_size, seq_idx, headdim, **named
):
    """`mamba_split_conv1d_scan_combined`: all between the projections."""
    assert (named["activation"], named["ngroups"], named["norm_before_gate"]) == ("silu", 1, False)
    inner, heads = headdim * len(dt_bias), len(dt_bias)
    state = (zxbcdt.shape[-1] - 2 * inner - heads) // 2
    z, xBC, dt = zxbcdt.split([inner, inner + 2 * state, heads], -1)
    convolved = convolve_double(xBC.mT, conv_weight, conv_bias, seq_idx, "silu").mT
    x, B, C = convolved.split([inner, state, state], -1)
    x = x.unflatten(-1, (-1, headdim))
    D = named["D"]
    y = scan_double(x, dt, A, B.unsqueeze(2), C.unsqueeze(2), chunk_size, D, dt_bias, True, seq_idx)
    return norm_double(y.flatten(2), named["rmsnorm_weight"], None, z, named["rmsnorm_eps"], False)


@pytest.mark.parametrize("reverse", [[False], [True], [False, True]])
@pytest.mark.parametrize("lengths", [*RAGGED[1:3], *PACKED])
def test_with_doubles_in_place_of_kernels_it_is_the_reference(monkeypatch, lengths, reverse):
    doubles = (convolve_double, scan_double, norm_double, split_double)
    monkeypatch.setattr(kernels, "_kernels", lambda: doubles)
    lengths, weights = torch.tensor(lengths), weights_of(mixer_tensors())
    x = rows_for(lengths)
    x[0, -1] = float("nan")
    with torch.no_grad():
        # A_log goes through fp32 in the kernels' calling form: hence single precision's bound.
        found = kernels.scan_with_kernels(x, lengths, weights, reverse)
        expected = kernels_reference(x, lengths, weights, reverse)
    assert relative(found, expected) < 1e-6


def kernels_reference(x, lengths, weights, reverse):
    from sc_mamba2.ops.reference import scan_reference

    ways = [scan_reference(x.nan_to_num(), lengths, weights, way) for way in reverse]
    return torch.stack(ways).mean(0)


@pytest.mark.parametrize("lengths", [*RAGGED[1:3], *PACKED])
def test_the_plain_way_with_doubles_is_both_directions(monkeypatch, lengths):
    monkeypatch.setattr(kernels, "_kernels", lambda: (None, None, None, split_double))
    torch.manual_seed(0)
    mixer = Mamba2Mixer(preset("micro", 9, d_model=8, d_state=6, head_dim=4)).double()
    lengths = torch.tensor(lengths)
    x = rows_for(lengths, width=8)
    with torch.no_grad():
        found = kernels.mix_each_direction(
            x, mixer.in_proj, mixer.out_proj, lengths, mixer.weights()
        )
        expected = mixer.both(x, lengths, "reference")
    assert relative(found, expected) < 1e-6


def test_kernels_are_loaded_past_the_first_page_of_their_package(tmp_path, monkeypatch):
    """`mamba_ssm/__init__.py` fails where a library is newer than it knows."""
    triton = tmp_path / "mamba_ssm" / "ops" / "triton"
    triton.mkdir(parents=True)
    (tmp_path / "mamba_ssm" / "__init__.py").write_text("raise ImportError('too new')\n")
    (triton / "layernorm_gated.py").write_text("rmsnorm_fn = 'norm'\n")
    names = "mamba_chunk_scan_combined = 'scan'\nmamba_split_conv1d_scan_combined = 'split'\n"
    (triton / "ssd_combined.py").write_text(names)
    (tmp_path / "causal_conv1d.py").write_text("causal_conv1d_fn = 'convolve'\n")
    monkeypatch.syspath_prepend(tmp_path)
    kernels._kernels.cache_clear()
    try:
        assert kernels._kernels() == ("convolve", "scan", "norm", "split")
        assert "mamba_ssm" not in sys.modules  # a user's own import runs the page
    finally:
        kernels._kernels.cache_clear()
        for name in [
            one for one in sys.modules if one.split(".")[0] in ("mamba_ssm", "causal_conv1d")
        ]:
            del sys.modules[name]


def test_it_says_why_there_are_no_kernels():
    assert kernels_missing("cpu") == "the device is cpu, not a CUDA GPU"


def test_kernels_that_are_absent_or_broken_are_told(monkeypatch):
    monkeypatch.setattr(kernels, "find_spec", lambda name: None)
    assert kernels_missing("cuda") == "not installed: mamba_ssm, causal_conv1d"
    monkeypatch.setattr(kernels, "find_spec", lambda name: name)

    def broken():
        raise ImportError("undefined symbol: x")

    monkeypatch.setattr(kernels, "_kernels", broken)
    assert "cannot be loaded (undefined symbol: x)" in kernels_missing("cuda")
    monkeypatch.setattr(kernels, "_kernels", lambda: None)
    assert kernels_missing("cuda") is None


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("dtype", "rtol", "atol"), [(torch.float32, 6e-4, 2e-3), (torch.bfloat16, 3e-2, 5e-2)]
)
@pytest.mark.parametrize("lengths", [[2048, 300, 1], [[64, 0, 1500], [700, 1, 20]]])
@pytest.mark.parametrize("one", ["kernels", "fused"])
def test_7_the_kernels_equal_the_blocked_path(dtype, rtol, atol, lengths, one):
    torch.manual_seed(0)
    mixer = Mamba2Mixer(preset("base", 9)).cuda()
    lengths = torch.tensor(lengths, device="cuda")
    x = rows_for(lengths.cpu(), width=512, dtype=torch.float32).cuda()
    with torch.no_grad():
        projected = mixer.in_proj(x).to(dtype)
    results = []
    for path in (one, "blocked"):
        leaf = projected.clone().requires_grad_()
        y = bidirectional_scan(leaf, lengths, mixer.weights(), path)
        tensors = [part for part in mixer.weights() if isinstance(part, torch.Tensor)]
        gradients = torch.autograd.grad(y.float().square().sum(), [leaf, *tensors])
        results.append([y, *gradients])
    for found, expected in zip(*results, strict=True):
        scale = float(expected.abs().max().clamp(min=1))
        torch.testing.assert_close(found / scale, expected / scale, rtol=rtol, atol=atol)
