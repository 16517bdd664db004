"""The scan on a CUDA GPU: parity of the kernels, time against `mamba-ssm`, share of peak, reach.

    python benchmarks/scan_gpu.py [--parts parity ratios backbones batches] [--out FILE]

Needs the extra `cuda` and of this package `model` and what is below it, no single-cell library
(PYTHONPATH=src will do). Writes `results/scan_gpu.json`; without a GPU says so and writes nothing.
"""

import argparse
import contextlib
import gc
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import torch
from machine import describe_machine
from torch import Tensor, nn

from sc_mamba2.model import Backbone, Mamba2Mixer, ModelConfig, preset
from sc_mamba2.ops import ScanPath, kernels_missing
from sc_mamba2.ops.kernels import CHUNK

RESULT = Path(__file__).parent / "results" / "scan_gpu.json"
DEVICE = "cuda"
# 60,530 genes, rounded up: Triton compiles anew for lengths that are no multiple of 16, and for one row.
LONG = 60_544  # from here on, and where else memory is short, training recomputes layers
LENGTHS = (2_048, 8_192, LONG)
ROW_TOKENS = 131_072  # of a batch whose time is taken, at most
WIDTHS, MODELS = (512, 1536), ("base", "upstream-625m")
VOCABULARY = 60_533
WHAT = ("forward", "training")
WARM_UP, REPEATS = 3, 9
MOST_ENTRIES = 2**31  # of one array: kernels may index with 32 bits
BOUNDS = {torch.float32: (6e-4, 2e-3), torch.bfloat16: (3e-2, 5e-2)}
# Dense bf16 FLOP a second, by a part of the device's name; the first that fits counts.
PEAKS = {"B200": 2.25e15, "H200": 989e12, "H100 PCIe": 756e12, "H100 NVL": 835e12}
PEAKS |= {"H100": 989e12, "A100": 312e12, "L40S": 362e12}

Out = dict[str, Any]
Rows = Iterator[Out]


class Mixing(nn.Module):
    """A mixer, and how it is run over rows (B, L, D)."""

    def __init__(self, mixer: nn.Module, run: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.mixer, self.run = mixer, run

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Mix."""
        return self.run(self.mixer, x_BLD)


def ours(width: int, lengths: Tensor, path: ScanPath = "kernels") -> Mixing:
    """Build our mixer, fresh and the same each time, run in both directions."""
    torch.manual_seed(0)
    mixer = Mamba2Mixer(preset("base", 9, d_model=width)).to(DEVICE)
    return Mixing(mixer, lambda mixer, x_BLD: mixer.both(x_BLD, lengths, path))


def twice(width: int, mixer: nn.Module) -> Mixing:
    """Build `mamba_ssm`'s module with the same weights: run, flip, run, flip back, average."""
    from mamba_ssm.modules.mamba2 import Mamba2

    theirs = Mamba2(width, d_state=64, d_conv=4, expand=2, headdim=64, ngroups=1)
    theirs.load_state_dict(mixer.state_dict())
    return Mixing(theirs.to(DEVICE), lambda mixer, x: (mixer(x) + mixer(x.flip(1)).flip(1)) / 2)


def merged_flop(config: ModelConfig, chunk: int = CHUNK) -> int:
    """Count the FLOP a real token of one forward: projections once, a scan each direction.

    A chunk's products are counted whole, above the diagonal too, where kernels skip a part;
    embedding, value encoder, convolution and norms are left out.
    """
    inner, state, width = config.d_inner, config.d_state, config.d_model
    projected = 2 * inner + 2 * state + config.n_heads
    projections = 2 * width * projected + 2 * inner * width
    scan = 2 * chunk * state + 2 * chunk * inner + 4 * state * inner
    return config.n_layers * (projections + 2 * scan)


def device_peak() -> float | None:
    """Return the dense bf16 peak of the device, FLOP a second; None for one that is not known."""
    return next((PEAKS[part] for part in PEAKS if part in torch.cuda.get_device_name(0)), None)


def describe() -> Out:
    """Return machine, device and versions; single-cell libraries may be absent there."""
    found: Out = {"versions": {}}  # for the bare machine
    with contextlib.suppress(PackageNotFoundError):
        found = describe_machine()
    for name in ("torch", "triton", "mamba-ssm", "causal-conv1d"):
        with contextlib.suppress(PackageNotFoundError):
            found["versions"][name] = version(name)
    memory = torch.cuda.get_device_properties(0).total_memory / 2**30
    device = {"name": torch.cuda.get_device_name(0), "gib": memory, "peak_flop": device_peak()}
    return found | {"device": device}


def outputs_and_gradients(layer: Mixing, x_BLD: Tensor, kind: torch.dtype) -> dict[str, Tensor]:
    """Run a mixer forward and backward from the sum of squares; tensors by name."""
    leaf_BLD = x_BLD.clone().requires_grad_()
    with torch.autocast(DEVICE, torch.bfloat16, enabled=kind is torch.bfloat16):
        y_BLD = layer(leaf_BLD)
    named = dict(layer.mixer.named_parameters())
    leaves = [leaf_BLD, *named.values()]
    gradients = torch.autograd.grad(y_BLD.float().square().sum(), leaves)
    return {"y": y_BLD.detach(), **dict(zip(["x", *named], gradients, strict=True))}


def compare(found: dict[str, Tensor], expected: dict[str, Tensor], kind: torch.dtype) -> Out:
    """Compare tensor by tensor within property 7's bounds, large tensors scaled to at most 1.

    ``excess``: largest ``|difference| / (atol + rtol |expected|)``, 1 or less passes; ``relative``:
    largest difference over largest absolute value.
    """
    (rtol, atol), tensors = BOUNDS[kind], {}
    for name, truth in expected.items():
        b, apart = truth.float().abs(), (found[name].float() - truth.float()).abs()
        bound = atol * b.max().clamp(min=1) + rtol * b
        excess, relative = (apart / bound).max(), apart.max() / b.max()
        tensors[name] = {"excess": float(excess), "relative": float(relative)}
    # A comparison with a NaN is false: it fails.
    passes = all(tensor["excess"] <= 1 for tensor in tensors.values())
    worst = max(tensors, key=lambda name: tensors[name]["excess"])
    return {"passes": passes, "worst": worst, **tensors[worst], "tensors": tensors}


def parity() -> Rows:
    """Hold the kernels to the blocked path (full, ragged, packed rows) and to `mamba_ssm` (full)."""
    full: list[Any] = [2048, 2048]
    for width, kind in itertools.product(WIDTHS, BOUNDS):
        for given in (full, [2048, 300], [[64, 0, 1520], [700, 1, 20]]):
            lengths = torch.tensor(given, device=DEVICE)
            length = int(lengths.view(2, -1).sum(1).max())
            layer = ours(width, lengths)
            x_BLD = torch.randn(2, length, width, device=DEVICE)
            others = {"blocked": ours(width, lengths, "blocked")}
            if given is full:
                others["mamba-ssm twice"] = twice(width, layer.mixer)
            found = outputs_and_gradients(layer, x_BLD, kind)
            for name, one in others.items():
                result = compare(found, outputs_and_gradients(one, x_BLD, kind), kind)
                row = {"width": width, "type": str(kind), "lengths": given, "against": name}
                yield row | result


def step(what: str, model: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Run a model once in bf16: "forward" without gradient, or "training", without optimizer."""
    model.zero_grad(set_to_none=True)
    with torch.set_grad_enabled(what == "training"), torch.autocast(DEVICE, torch.bfloat16):
        y = model(*inputs)
    if what == "training":
        y.backward(torch.ones_like(y))  # given, so that no loss is timed


def milliseconds(steps: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Time steps by CUDA events, interleaved; medians after warm-up."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(WARM_UP + REPEATS):
        for name, run in steps.items():
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            run()
            end.record()
            torch.cuda.synchronize()
            if turn >= WARM_UP:
                times[name].append(start.elapsed_time(end))
    return {name: median(taken) for name, taken in times.items()}


def attempt(run: Callable[[], Out]) -> Out:
    """Run and give the memory back; say so where the GPU has too little of it."""
    found = {"out_of_memory": True}
    with contextlib.suppress(torch.cuda.OutOfMemoryError):
        found = run()
    gc.collect()
    torch.cuda.empty_cache()
    return found


def ratios() -> Rows:
    """Time our mixer against `mamba_ssm`'s run twice; the ratio is theirs over ours."""
    for width, length, what in itertools.product(WIDTHS, LENGTHS, WHAT):
        number = max(1, ROW_TOKENS // length)
        row = {"width": width, "length": length, "what": what, "rows": number}
        yield row | attempt(partial(_ratio, width, length, what, number))


def _ratio(width: int, length: int, what: str, number: int) -> Out:
    layer = ours(width, torch.full((number,), length, device=DEVICE))
    x_BLD = torch.randn(number, length, width, device=DEVICE, requires_grad=what == "training")
    pair = {"ours": layer, "mamba-ssm twice": twice(width, layer.mixer)}
    taken = milliseconds({name: partial(step, what, one, (x_BLD,)) for name, one in pair.items()})
    return {"ms": taken, "ratio": taken["mamba-ssm twice"] / taken["ours"]}


def new_backbone(name: str, recompute: bool) -> Backbone:
    """Build a backbone on the GPU, on the kernels path."""
    backbone = Backbone(preset(name, VOCABULARY)).to(DEVICE)
    backbone.scan_path, backbone.recompute_layers = "kernels", recompute
    return backbone


def cells(rows: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """Make full rows: ids, bins, lengths."""
    ids_BL = torch.randint(1, VOCABULARY, (rows, length), device=DEVICE)
    bins_BL = torch.randint(1, 51, (rows, length), device=DEVICE).float()
    return ids_BL, bins_BL, torch.full((rows,), length, device=DEVICE)


def backbones() -> Rows:
    """Time whole backbones; where training is recomputed, that does not count as useful."""
    for name, length, what in itertools.product(MODELS, LENGTHS, WHAT):
        number = max(1, ROW_TOKENS // length)
        row = {"model": name, "length": length, "what": what, "rows": number}
        run = partial(_speed, name, length, what, number)
        recompute = what == "training" and length >= LONG
        found = attempt(partial(run, recompute))
        if "out_of_memory" in found and what == "training" and not recompute:
            found = attempt(partial(run, True))
        yield row | found


def _speed(name: str, length: int, what: str, number: int, recompute: bool) -> Out:
    backbone = new_backbone(name, recompute).train(what == "training")
    torch.cuda.reset_peak_memory_stats()
    taken = milliseconds({what: partial(step, what, backbone, cells(number, length))})[what]
    flop = merged_flop(backbone.config) * (3 if what == "training" else 1)
    speed, peak = number * length / taken * 1e3, device_peak()
    found = {"recompute_layers": recompute, "ms": taken, "tokens_per_second": speed}
    found |= {"flop_per_token": flop, "share_of_peak": peak and speed * flop / peak}
    return found | {"peak_gib": torch.cuda.max_memory_allocated() / 2**30}


def largest(fits: Callable[[int], bool], most: int) -> int:
    """Find the largest number up to `most` that fits: doubling, then bisection; 0 for none."""
    good, bad = 0, 1
    while bad <= most and fits(bad):
        good, bad = bad, bad * 2
    bad = min(bad, most + 1)
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return good


def batches() -> Rows:
    """Find the largest batch of one training step, without optimizer, that fits."""
    for name, length, recompute in itertools.product(MODELS, LENGTHS, (False, True)):
        row = {"model": name, "length": length, "recompute_layers": recompute}
        yield row | attempt(partial(_largest, name, length, recompute))


def _largest(name: str, length: int, recompute: bool) -> Out:
    backbone = new_backbone(name, recompute)

    def once(rows: int) -> Out:
        step("training", backbone, cells(rows, length))
        torch.cuda.synchronize()
        return {}

    most = (MOST_ENTRIES - 1) // (length * backbone.layers[0].mixer.in_proj.out_features)
    number = largest(lambda rows: "out_of_memory" not in attempt(partial(once, rows)), most)
    return {"most_tried": most, "rows": number}


PARTS = {"parity": parity, "ratios": ratios, "backbones": backbones, "batches": batches}


def main() -> None:
    """Run the parts asked for; write after each row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--out", type=Path, default=RESULT)
    chosen = parser.parse_args()
    missing = kernels_missing("cuda") if torch.cuda.is_available() else "torch finds no CUDA GPU"
    if missing is not None:
        print(f"scan_gpu does not run: {missing}")
        return
    record: Out = {"command": " ".join(sys.argv), "machine": describe(), "repeats": REPEATS}
    for part in chosen.parts:
        record[part] = []
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        for row in PARTS[part]():
            record[part].append(row)
            print(part, {name: value for name, value in row.items() if name != "tensors"})
            chosen.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
