"""Pretraining on one CUDA GPU: tokens a second by preset and scan path, then a whole `small`.

    python benchmarks/pretraining_gpu.py STORE RUN [--seconds 150] [--hold-out STUDY ...] [--out FILE]

STORE is a token store that `scm pretrain` wrote on any machine (a folder; it travels). Needs of this
package `training` and what is below it, no single-cell library (PYTHONPATH=src will do). `small` is
trained with the recipe of `checkpoints.py` in larger batches, for as many steps as fit in the seconds.
Writes `results/pretraining_gpu.json`; without a GPU says so and writes nothing.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from gpu_hour import describe, device_peak, merged_flop

from sc_mamba2.model import preset
from sc_mamba2.ops import kernels_missing
from sc_mamba2.training.job import KeepOptions, PretrainJob, PretrainOptions
from sc_mamba2.training.journal import read_journal
from sc_mamba2.training.pretraining import Step
from sc_mamba2.training.run import JOURNAL, pretrain

RESULT = Path(__file__).parent / "results" / "pretraining_gpu.json"
MASKS = {"min_ratio": 0.1, "max_ratio": 0.3, "left_out": 0.8, "zero_share": 0.0}
BATCH = 128
SPEEDS = [("small", "auto", "bf16"), ("small", "fused", "bf16"), ("small", "blocked", "bf16")]
PROBE, SKIPPED = 12, 4  # steps of a speed, and those of them that compile and warm up


def job(
    store: Path, run: Path, name: str, path: str, precision: str, steps: int, **changes: Any
) -> PretrainJob:
    """Describe one training; judged and kept four times on its way where cells are held out."""
    seldom = max(1, steps // 4)
    fields: dict[str, Any] = {
        "store": store,
        "run": run,
        "shape": {"preset": name},
        "masks": MASKS,
        "training": PretrainOptions(
            steps=steps,
            batch_size=BATCH,
            micro_batch_size=BATCH,
            learning_rate=1.5e-3,
            average_decay=0.99,
            precision=precision,
        ),
        "keep": KeepOptions(judge_every=seldom, judge_cells=512, checkpoint_every=steps),
        "compute": {"seed": 0, "device": "cuda", "scan_path": path},
    }
    return PretrainJob.build(**(fields | changes))


def speed(store: Path, name: str, path: str, precision: str) -> dict[str, Any]:
    """Time steps of one preset on one path: the median of all but the first few."""
    ends: list[tuple[float, int]] = []

    def told(taken: int, steps: int, row: Step) -> None:
        torch.cuda.synchronize()
        ends.append((time.perf_counter(), row.tokens))

    torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as folder:
        pretrain(job(store, Path(folder) / "run", name, path, precision, PROBE), told)
    pairs = zip(ends[SKIPPED:], ends[SKIPPED + 1 :], strict=False)
    seconds, tokens = zip(*((b[0] - a[0], b[1]) for a, b in pairs), strict=True)
    pace = statistics.median(n / s for n, s in zip(tokens, seconds, strict=True))
    flop, peak = 3 * merged_flop(preset(name, 2)), device_peak()
    return {
        "preset": name,
        "path": path,
        "precision": precision,
        "seconds_a_step": statistics.median(seconds),
        "tokens_a_second": pace,
        "share_of_peak": peak and pace * flop / peak,  # of the trunk's products alone
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
    }


def train_small(store: Path, run: Path, seconds: float, step: float, held_out: list[str]) -> Any:
    """Train `small` for so many steps as fit, and return what its journal says."""
    steps = max(100, int(seconds / step) // 100 * 100)
    given = {"held_out": {"values": held_out}} if held_out else {}
    start = time.perf_counter()
    finished = pretrain(job(store, run, "small", "auto", "bf16", steps, **given))
    took = time.perf_counter() - start
    history = read_journal(run / JOURNAL).groupby("step").last().reset_index()
    kept = ["step", "loss", "clock/tokens_a_second"]
    judged = [name for name in history if name.startswith("held_out/") and name.count("/") == 1]
    curve = history[history["step"] % max(10, steps // 50) == 0]
    rows = json.loads(curve.reindex(columns=kept + judged).to_json(orient="records"))
    return {"steps": steps, "seconds": took, "held_out": held_out, "curve": rows} | {
        "model": str(finished.model and finished.model.name)
    }


def main() -> None:
    """Measure speeds, then train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("run", type=Path, help="folder of the whole training; new")
    parser.add_argument("--seconds", type=float, default=150.0)
    parser.add_argument("--hold-out", nargs="*", default=["pbmc_cite_5k10k"])
    parser.add_argument("--out", type=Path, default=RESULT)
    chosen = parser.parse_args()
    missing = kernels_missing("cuda") if torch.cuda.is_available() else "torch finds no CUDA GPU"
    if missing is not None:
        print(f"pretraining_gpu does not run: {missing}")
        return
    record: dict[str, Any] = {"command": " ".join(sys.argv), "machine": describe(), "batch": BATCH}
    first, *others = SPEEDS
    row = speed(chosen.store, *first)
    print(row, flush=True)
    record["speeds"] = [row]
    record["small"] = train_small(
        chosen.store, chosen.run, chosen.seconds, row["seconds_a_step"], chosen.hold_out
    )
    print({**record["small"], "curve": record["small"]["curve"][-1:]}, flush=True)
    chosen.out.write_text(json.dumps(record, indent=1) + "\n")
    for shape in others:
        record["speeds"].append(speed(chosen.store, *shape))
        print(record["speeds"][-1], flush=True)
        chosen.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
