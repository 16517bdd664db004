"""The first minutes on a GPU: parity, which path is chosen, tuning, times against `mamba-ssm`, reach, a profile.

    python benchmarks/gpu_hour.py [--parts parity choice ...] [--minutes 9] [--store STORE] [--out FILE] [--toy]

Needs torch, triton and of this package `training` and what is below it, no single-cell library (PYTHONPATH=src
will do); `mamba-ssm` and `causal-conv1d` where they are. Every row is written at once to `results/gpu_hour.json`;
what stands there is not measured again, and after the minutes it stops: call it until nothing is left. Without a
GPU it says so and writes nothing; `--toy` goes through the parts on the CPU, kernels in Triton's interpreter.
"""

import argparse
import contextlib
import gc
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

TOY = "--toy" in sys.argv
if TOY:
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported

import torch
from machine import describe_machine
from torch import Tensor, nn

from sc_mamba2.model import Backbone, Mamba2Mixer, ModelConfig, preset
from sc_mamba2.ops import MixerWeights, ScanPath, kernel_paths, measured_choices
from sc_mamba2.ops.kernels import CHUNK

RESULT = Path(__file__).parent / "results" / "gpu_hour.json"
DEVICE = "cpu" if TOY else "cuda"
# 60,530 genes, rounded up: Triton compiles anew for lengths that are no multiple of 16, and for one row.
LONG = 60_544  # from here on, and where else memory is short, training recomputes layers
LENGTHS = (16,) if TOY else (2_048, 8_192, LONG)
ROW_TOKENS = 16 if TOY else 131_072  # of a batch whose time is taken, at most
WIDTHS = (16,) if TOY else (512, 1536)
MODELS = ("micro",) if TOY else ("base", "upstream-625m")
SHAPE = {"head_dim": 16, "d_state": 16} if TOY else {}
VOCABULARY = 99 if TOY else 60_533
WHAT = ("forward", "training")
WARM_UP, REPEATS = (0, 1) if TOY else (3, 9)
MAX_ENTRIES = 2**31  # of one array: kernels may index with 32 bits
BOUNDS = {torch.float32: (6e-4, 2e-3), torch.bfloat16: (3e-2, 5e-2)}
# Dense bf16 FLOP a second, by a part of the device's name; the first that fits counts.
PEAKS = {"B200": 2.25e15, "H200": 989e12, "H100 PCIe": 756e12, "H100 NVL": 835e12}
PEAKS |= {"H100": 989e12, "A100": 312e12, "L40S": 362e12}

Out = dict[str, Any]
Rows = Iterator[tuple[Out, Callable[[], Out]]]


class Mixing(nn.Module):
    """A mixer, and how it is run over rows (B, L, D)."""

    def __init__(self, mixer: nn.Module, run: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.mixer, self.run = mixer, run

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Mix."""
        return self.run(self.mixer, x_BLD)


def layer_of(width: int, lengths: Tensor, path: ScanPath) -> Mixing:
    """Build our mixer, fresh and the same each time, run in both directions on a path."""
    torch.manual_seed(0)
    mixer = Mamba2Mixer(preset("base", 9, d_model=width, **SHAPE)).to(DEVICE)
    return Mixing(mixer, lambda mixer, x_BLD: mixer.both(x_BLD, lengths, path))


def theirs(width: int, mixer: nn.Module) -> Mixing:
    """Build `mamba_ssm`'s module with the same weights: run, flip, run, flip back, average."""
    from mamba_ssm.modules.mamba2 import Mamba2

    module = Mamba2(width, d_state=64, d_conv=4, expand=2, headdim=64, ngroups=1)
    module.load_state_dict(mixer.state_dict())
    return Mixing(module.to(DEVICE), lambda mixer, x: (mixer(x) + mixer(x.flip(1)).flip(1)) / 2)


def paths(kind: torch.dtype = torch.bfloat16) -> list[ScanPath]:
    """Return the paths of kernels that run here."""
    return ["fused"] if TOY else kernel_paths(DEVICE, kind)


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
    name = torch.cuda.get_device_name(0) if DEVICE == "cuda" else ""
    return next((PEAKS[part] for part in PEAKS if part in name), None)


def describe() -> Out:
    """Return machine, device and versions; single-cell libraries may be absent there."""
    found: Out = {"versions": {}}  # for the bare machine
    with contextlib.suppress(PackageNotFoundError):
        found = describe_machine()
    for name in ("torch", "triton", "mamba-ssm", "causal-conv1d"):
        with contextlib.suppress(PackageNotFoundError):
            found["versions"][name] = version(name)
    if DEVICE == "cpu":
        return found
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
    """Hold each path to the blocked one (full, ragged, packed rows), and to `mamba_ssm` itself (full)."""
    full: list[Any] = [16, 16] if TOY else [2048, 2048]
    ragged, packed = (
        [[16, 3], [[4, 0, 9], [7, 1, 2]]] if TOY else [[2048, 300], [[64, 0, 1520], [700, 1, 20]]]
    )
    for width, kind, given in itertools.product(WIDTHS, BOUNDS, (full, ragged, packed)):
        for path in paths(kind):
            row = {"width": width, "type": str(kind), "lengths": given, "path": path}
            yield row, partial(_parity, width, kind, given, path, given is full and not TOY)


def _parity(width: int, kind: torch.dtype, given: Any, path: ScanPath, module: bool) -> Out:
    lengths = torch.tensor(given, device=DEVICE)
    length = int(lengths.view(2, -1).sum(1).max())
    layer = layer_of(width, lengths, path)
    x_BLD = torch.randn(2, length, width, device=DEVICE)
    found = outputs_and_gradients(layer, x_BLD, kind)
    others = {"blocked": layer_of(width, lengths, "blocked")}
    if module:
        with contextlib.suppress(
            Exception
        ):  # its page fails with newer libraries; its kernels do not
            others["mamba-ssm"] = theirs(width, layer.mixer)
    return {
        name: compare(found, outputs_and_gradients(one, x_BLD, kind), kind)
        for name, one in others.items()
    }


def step(what: str, model: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Run a model once in bf16: "forward" without gradient, or "training", without optimizer."""
    model.zero_grad(set_to_none=True)
    with torch.set_grad_enabled(what == "training"), torch.autocast(DEVICE, torch.bfloat16):
        y = model(*inputs)
    if what == "training":
        y.backward(torch.ones_like(y))  # given, so that no loss is timed


def wait() -> None:
    """Wait for the device."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def milliseconds(steps: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Time steps by the clock, interleaved, the device waited for; medians after warm-up."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(WARM_UP + REPEATS):
        for name, run in steps.items():
            wait()
            start = time.perf_counter()
            run()
            wait()
            if turn >= WARM_UP:
                times[name].append((time.perf_counter() - start) * 1e3)
    return {name: median(taken) for name, taken in times.items()}


def attempt(run: Callable[[], Out]) -> Out:
    """Run and give the memory back; say so where the GPU has too little of it."""
    found = {"out_of_memory": True}
    with contextlib.suppress(torch.cuda.OutOfMemoryError):
        found = run()
    gc.collect()
    if DEVICE == "cuda":
        torch.cuda.empty_cache()
    return found


def choice() -> Rows:
    """Let the layer choose its path for each shape, and say what it measured."""
    for width, length, what in itertools.product(WIDTHS, LENGTHS, WHAT):
        yield (
            {"width": width, "length": length, "what": what},
            partial(_choice, width, length, what),
        )


def _choice(width: int, length: int, what: str) -> Out:
    number, before = max(1, ROW_TOKENS // length), set(measured_choices())
    lengths = torch.full((number,), length, device=DEVICE)
    x_BLD = torch.randn(number, length, width, device=DEVICE, requires_grad=what == "training")
    step(what, layer_of(width, lengths, "auto"), (x_BLD,))
    return {"chosen": {key: row for key, row in measured_choices().items() if key not in before}}


def tuning() -> Rows:
    """Time the fused scan alone, by chunk, warps and least number of programs."""
    chunks, warps, programs = ((16,), (4,), (1, 99)) if TOY else ((32, 64), (4, 8), (256, 1024))
    for width, length, what in itertools.product(WIDTHS, LENGTHS, WHAT):
        for launch in itertools.product(chunks, warps, programs):
            row = {"width": width, "length": length, "what": what}
            named = dict(zip(("chunk", "warps", "programs"), launch, strict=True))
            yield row | named, partial(_tuning, width, length, what, named)


def _tuning(width: int, length: int, what: str, named: dict[str, int]) -> Out:
    from sc_mamba2.ops.fused.path import Launch, scan_fused

    number = max(1, ROW_TOKENS // length)
    lengths = torch.full((number,), length, device=DEVICE)
    mixer: Any = layer_of(width, lengths, "blocked").mixer
    kind = torch.float32 if TOY else torch.bfloat16
    zxbcdt_BLE = torch.randn(number, length, mixer.in_proj.out_features, device=DEVICE, dtype=kind)
    weights: MixerWeights = mixer.weights()
    leaves = [zxbcdt_BLE.requires_grad_(), *(part for part in weights if isinstance(part, Tensor))]

    def run() -> None:
        with torch.set_grad_enabled(what == "training"):
            g_BLI = scan_fused(zxbcdt_BLE, lengths, weights, [False, True], Launch(**named))
        if what == "training":
            torch.autograd.grad(g_BLI, leaves, torch.ones_like(g_BLI))

    return {"ms": milliseconds({"scan": run})["scan"]}


def layers() -> Rows:
    """Time the layer on each path; the ratio is the plain way's time over a path's."""
    for width, length, what in itertools.product(WIDTHS, LENGTHS, WHAT):
        yield {"width": width, "length": length, "what": what}, partial(_layer, width, length, what)


def _layer(width: int, length: int, what: str) -> Out:
    number = max(1, ROW_TOKENS // length)
    lengths = torch.full((number,), length, device=DEVICE)
    x_BLD = torch.randn(number, length, width, device=DEVICE, requires_grad=what == "training")
    runs = {path: partial(step, what, layer_of(width, lengths, path), (x_BLD,)) for path in paths()}
    taken = milliseconds(runs)
    plain = taken.get("twice")
    return {"rows": number, "ms": taken} | (
        {"ratio": {path: plain / time for path, time in taken.items()}} if plain else {}
    )


def new_backbone(name: str, recompute: bool) -> Backbone:
    """Build a backbone that chooses its path."""
    backbone = Backbone(preset(name, VOCABULARY)).to(DEVICE)
    backbone.recompute_layers = recompute
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
        yield row, partial(_backbone, name, length, what, number)


def _backbone(name: str, length: int, what: str, number: int) -> Out:
    recompute = what == "training" and length >= LONG
    found = attempt(partial(_speed, name, length, what, number, recompute))
    if "out_of_memory" in found and what == "training" and not recompute:
        found = attempt(partial(_speed, name, length, what, number, True))
    return found


def _speed(name: str, length: int, what: str, number: int, recompute: bool) -> Out:
    backbone = new_backbone(name, recompute).train(what == "training")
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()
    taken = milliseconds({what: partial(step, what, backbone, cells(number, length))})[what]
    flop = merged_flop(backbone.config) * (3 if what == "training" else 1)
    speed, peak = number * length / taken * 1e3, device_peak()
    found = {"recompute_layers": recompute, "ms": taken, "tokens_per_second": speed}
    found |= {"flop_per_token": flop, "share_of_peak": peak and speed * flop / peak}
    return found | {
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if DEVICE == "cuda" else None
    }


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
        yield row, partial(_largest, name, length, recompute)


def _largest(name: str, length: int, recompute: bool) -> Out:
    backbone = new_backbone(name, recompute)

    def once(rows: int) -> Out:
        step("training", backbone, cells(rows, length))
        wait()
        return {}

    most = (
        2 if TOY else (MAX_ENTRIES - 1) // (length * backbone.layers[0].mixer.in_proj.out_features)
    )
    number = largest(lambda rows: "out_of_memory" not in attempt(partial(once, rows)), most)
    return {"most_tried": most, "rows": number}


def profile() -> Rows:
    """Say where a training step of a layer goes: the operations that take longest."""
    for width, path in itertools.product(WIDTHS, paths()):
        yield {"width": width, "path": path}, partial(_profile, width, path)


def _profile(width: int, path: ScanPath) -> Out:
    length, number = LENGTHS[0], max(1, ROW_TOKENS // LENGTHS[0])
    lengths = torch.full((number,), length, device=DEVICE)
    layer, x_BLD = layer_of(width, lengths, path), torch.randn(number, length, width, device=DEVICE)
    step("training", layer, (x_BLD,))
    with torch.profiler.profile() as seen:
        step("training", layer, (x_BLD,))
        wait()
    where = "device_time_total" if DEVICE == "cuda" else "cpu_time_total"
    rows = sorted(seen.key_averages(), key=lambda row: -getattr(row, where))[:20]
    return {"microseconds": {row.key: getattr(row, where) for row in rows}}


def pretraining() -> Rows:
    """Time steps of pretraining by preset, where a token store is given; see `pretraining_gpu.py`."""
    given = [sys.argv[at + 1] for at, word in enumerate(sys.argv) if word == "--store"]
    if given and not TOY:
        from pretraining_gpu import SPEEDS, speed

        for shape in SPEEDS:
            yield (
                dict(zip(("preset", "path", "precision"), shape, strict=True)),
                partial(speed, Path(given[0]), *shape),
            )


def counts() -> Rows:
    """Count bytes and FLOP of a token, one layer forward, and what bounds the fused path against the plain way."""
    for width in (512, 1536):
        yield {"width": width}, partial(_count, width)


def _count(width: int) -> Out:
    config, kib = preset("base", 9, d_model=width), 2 / 1024  # bf16
    inner, state, heads = config.d_inner, config.d_state, config.n_heads
    channels = inner + 2 * state
    projected = inner + channels + heads
    project = width + projected + inner + width  # read and written around both products
    fused = project + channels + 2 * channels  # convolved, both ways
    fused += (
        2 * channels + 2 * inner
    )  # scanned; heads that share B and C find them in the second cache
    fused += inner + 2 * inner + inner  # gate, norms and mean
    # `mamba-ssm` twice, its kernels counted by hand: flip, projections, convolution, states, outputs, norm.
    plain_kib = {512: 70.0, 1536: 196.0}[width]
    products = 2 * width * projected + 2 * inner * width
    scan = 2 * 64 * state + 2 * 64 * inner + 4 * state * inner
    mflop = {
        "fused": (products + 2 * scan) / 1e6,
        "twice": merged_flop(config) / config.n_layers / 1e6,
    }
    mflop["twice"] += products / 1e6
    # At 2.9 TB/s and 600 TFLOP/s, one after the other.
    nanoseconds = {
        name: kilobytes * 1024 / 2.9e3 + mflop[name] / 0.6
        for name, kilobytes in (("fused", fused * kib), ("twice", plain_kib))
    }
    return {
        "kib": {"fused": fused * kib, "twice": plain_kib},
        "mflop": mflop,
        "nanoseconds": nanoseconds,
        "bound": nanoseconds["twice"] / nanoseconds["fused"],
    }


PARTS = {
    "counts": counts,
    "parity": parity,
    "choice": choice,
    "tuning": tuning,
    "layers": layers,
    "backbones": backbones,
    "profile": profile,
    "pretraining": pretraining,
    "batches": batches,
}


def main() -> None:
    """Run the parts asked for; write after each row, go on where an earlier call stopped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--toy", action="store_true")
    chosen = parser.parse_args()
    if not (TOY or torch.cuda.is_available()):
        print("gpu_hour does not run: torch finds no CUDA GPU")
        return
    end = time.monotonic() + 60 * chosen.minutes
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    record: Out = {"parts": {}}
    with contextlib.suppress(OSError, ValueError):
        record = json.loads(chosen.out.read_text())
    record["machine"] = describe()
    for part in chosen.parts:
        done: list[Out] = record["parts"].setdefault(part, [])
        for row, run in PARTS[part]():
            if any(row.items() <= one.items() for one in done if "failed" not in one):
                continue
            if time.monotonic() > end:
                print(f"the time is over, amid {part}: call it again")
                return
            started = time.monotonic()
            try:
                found = attempt(run)
            except Exception as error:  # a kernel that fails is a result
                found = {"failed": f"{type(error).__name__}: {error}"[:300]}
            done.append(row | found | {"seconds": round(time.monotonic() - started, 1)})
            print(
                part,
                {name: value for name, value in done[-1].items() if name != "tensors"},
                flush=True,
            )
            chosen.out.write_text(json.dumps(record, indent=1) + "\n")
    print("nothing is left to measure")


if __name__ == "__main__":
    main()
