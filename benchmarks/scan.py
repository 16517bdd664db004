"""Cost and memory of one layer over length: ours, ours run twice, plain, transformers, attention.

All contenders of a length run interleaved, `--repeats` times; a call of more than `--patience`
seconds is timed once. Writes `results/scan.json` and `results/scan.png`. About an hour on 2 cores:

    python benchmarks/scan.py
"""

import argparse
import gc
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from contenders import contenders
from machine import describe_machine
from memory import extra_memory
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
LENGTHS = (1_200, 4_096, 16_384, 60_530)
# Not run: attention trains 60,530 tokens in six minutes a layer, and `transformers` needs more memory
# for it than a laptop has.
LEFT_OUT = {
    ("training", 60_530, "attention"),
    ("training", 60_530, "transformers twice"),
}


def main() -> None:
    """Time everything, write the results."""
    options = _options()
    rows = []
    for threads in options.threads:
        torch.set_num_threads(threads)
        for mode in ("forward", "training"):
            for length in options.lengths:
                rows += _measure(mode, length, threads, options)
                _write(rows, options)
    _show(rows)
    _plot(rows, options.output)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=list(LENGTHS))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--patience", type=float, default=20.0, help="seconds")
    parser.add_argument("--output", type=Path, default=RESULTS / "scan.json")
    return parser.parse_args()


def _measure(
    mode: str, length: int, threads: int, options: argparse.Namespace
) -> list[dict[str, Any]]:
    x_1LD = torch.randn(1, length, options.width, requires_grad=mode == "training")
    pull_1LD = torch.randn(1, length, options.width)
    layers = {
        name: layer
        for name, layer in contenders(options.width).items()
        if (mode, length, name) not in LEFT_OUT
    }
    calls = {name: _call(layer, x_1LD, pull_1LD, mode) for name, layer in layers.items()}
    memory, first = {}, {}
    for name, call in calls.items():
        memory[name], first[name] = extra_memory(call)
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(options.repeats):
        for name, call in calls.items():
            if first[name] > options.patience and (seconds[name] or length == max(options.lengths)):
                continue
            gc.collect()
            started = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - started)
    return [
        _row(mode, length, threads, name, seconds[name] or [first[name]], memory[name])
        for name in calls
    ]


def _call(layer: torch.nn.Module, x_1LD: torch.Tensor, pull_1LD: torch.Tensor, mode: str) -> Any:
    def forward() -> None:
        with torch.no_grad():
            layer(x_1LD)

    def training() -> None:
        layer(x_1LD).backward(pull_1LD)
        x_1LD.grad = None
        layer.zero_grad()

    return forward if mode == "forward" else training


def _row(
    mode: str, length: int, threads: int, name: str, seconds: list[float], memory: float
) -> dict[str, Any]:
    return {
        "mode": mode,
        "length": length,
        "threads": threads,
        "layer": name,
        "microseconds_a_token": round(statistics.median(seconds) / length * 1e6, 2),
        "fastest": round(min(seconds) / length * 1e6, 2),
        "slowest": round(max(seconds) / length * 1e6, 2),
        "repeats": len(seconds),
        "extra_mib": round(memory / 2**20),
        "extra_kib_a_token": round(memory / 2**10 / length, 1),
    }


def _write(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    content = {
        "command": " ".join(["python", "benchmarks/scan.py", *sys.argv[1:]]),
        "width": options.width,
        "machine": describe_machine(),
        "ratios": ratios(rows),
        "rows": rows,
    }
    options.output.write_text(json.dumps(content, indent=1) + "\n")


def ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say what each contender costs over ours at the same length, and ours over the floor."""
    cost = {
        (row["threads"], row["mode"], row["length"], row["layer"]): row["microseconds_a_token"]
        for row in rows
    }
    found = []
    for (threads, mode, length, layer), ours in cost.items():
        if layer != "ours":
            continue
        own = (threads, mode, length)
        entry: dict[str, Any] = {"threads": threads, "mode": mode, "length": length}
        entry["ours over proj"] = round(ours / cost[(*own, "proj")], 2)
        for other in ("ours twice", "plain twice", "transformers twice", "attention"):
            if (*own, other) in cost:
                entry[f"{other} over ours"] = round(cost[(*own, other)] / ours, 2)
        if (threads, mode, 4_096, "ours") in cost:
            entry["over ours at 4,096"] = round(ours / cost[(threads, mode, 4_096, "ours")], 2)
        found.append(entry)
    return found


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table("threads", "mode", "tokens", "layer", "us a token", "extra MiB", "repeats")
    for row in rows:
        table.add_row(
            str(row["threads"]),
            row["mode"],
            f"{row['length']:,}",
            row["layer"],
            f"{row['microseconds_a_token']:.1f}",
            f"{row['extra_mib']:,}",
            str(row["repeats"]),
        )
    console = Console()
    console.print(table)
    for entry in ratios(rows):
        console.print(entry)


def _plot(rows: list[dict[str, Any]], output: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    threads = rows[0]["threads"]
    figure, axes = pyplot.subplots(2, 2, figsize=(10, 7), sharex=True, layout="constrained")
    labels = {"microseconds_a_token": "µs a token and layer", "extra_mib": "extra memory, MiB"}
    for axis, mode in zip(axes[0], ("forward", "training"), strict=True):
        axis.set_title(f"{mode}, threads: {threads}")
    for row_axes, column in zip(axes, labels, strict=True):
        for axis, mode in zip(row_axes, ("forward", "training"), strict=True):
            for name in dict.fromkeys(row["layer"] for row in rows):
                points = [
                    (row["length"], row[column])
                    for row in rows
                    if (row["layer"], row["mode"], row["threads"]) == (name, mode, threads)
                ]
                axis.plot(*zip(*points, strict=True), marker="o", label=name)
            axis.set(xscale="log", yscale="log", ylabel=labels[column])
            axis.grid(alpha=0.3)
    for axis in axes[1]:
        axis.set_xlabel("tokens")
    axes[0][0].legend(fontsize=8)
    figure.savefig(output.with_suffix(".png"), dpi=120)


if __name__ == "__main__":
    main()
