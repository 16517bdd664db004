"""Memory and resume of `scm embed`: many simulated cells, resident memory over time, a kill half-way.

    python benchmarks/embedding.py --cells 200000 --out benchmarks/results/embedding.json

Prints a table. The checkpoint is a `micro` backbone with random weights: what is measured is memory
and time, not quality.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
from machine import describe_machine

GENES = 200
LOOK_EVERY_SECONDS = 0.25
FLAT_FROM = 0.25  # share of the cells from which on memory must not grow


def main() -> None:
    """Measure a whole run, and one that is killed and goes on; compare what they write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=200_000)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _in_a_child(_write_inputs, folder, args.cells)
        whole = _embed(folder, "whole.h5ad", args.cells)
        killed = _embed(folder, "halves.h5ad", args.cells, kill_at=args.cells // 2)
        rest = _embed(folder, "halves.h5ad", args.cells)
        first, second = (_vectors(folder / name) for name in ("whole.h5ad", "halves.h5ad"))
        result = {
            "machine": describe_machine(),
            "cells": args.cells,
            "genes": GENES,
            "file_mb": round((folder / "cells.h5ad").stat().st_size / 1e6, 1),
            "whole": whole,
            "killed": killed,
            "continued": rest | {"blocks_computed": whole["blocks"] - killed["blocks"]},
            "equal": bool(np.array_equal(first, second)),
        }
    print(json.dumps(result, indent=1))
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _write_inputs(folder: Path, cells: int) -> None:
    """Write the simulated cells and the checkpoint."""
    import torch

    from sc_mamba2.cells import simulate_cells
    from sc_mamba2.genes import load_vocabulary
    from sc_mamba2.model import Backbone, Heads, PretrainedModel, preset
    from sc_mamba2.tokens import Tokenizer, TokenizerRules

    simulated = simulate_cells(cells, GENES)
    simulated.write_h5ad(folder / "cells.h5ad")
    torch.manual_seed(0)
    vocabulary = load_vocabulary().subset(simulated.var_names)
    backbone = Backbone(preset("micro", vocabulary.size, pad_id=vocabulary.pad_id, n_bins=51))
    model = PretrainedModel(backbone, Tokenizer(vocabulary, TokenizerRules()), Heads())
    model.save_pretrained(folder / "checkpoint")


def _embed(folder: Path, name: str, cells: int, kill_at: int | None = None) -> dict[str, Any]:
    """Run the verb and look at its memory; kill it once `kill_at` cells are done."""
    words = ["embed", folder / "cells.h5ad", "-o", folder / name, "-c", folder / "checkpoint"]
    words += ["--label-key", "cell_type", "--batch-key", "batch"]
    blocks = folder / f".{name}.blocks" / "blocks"
    before = _done(blocks)
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "sc_mamba2", *map(str, words)], stdout=subprocess.DEVNULL
    )
    looks: list[tuple[float, int, float]] = []
    most = before
    while process.poll() is None:
        time.sleep(LOOK_EVERY_SECONDS)
        most = max(most, _done(blocks))
        looks.append((time.perf_counter() - started, most, _resident_mb(process.pid)))
        if kill_at is not None and most * 4096 >= kill_at:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == (0 if kill_at is None else -signal.SIGKILL)
    found = _summary(looks, before, most, cells)
    print(json.dumps({name: found}), flush=True)  # the other runs may take long
    return found


def _summary(
    looks: list[tuple[float, int, float]], before: int, most: int, cells: int
) -> dict[str, Any]:
    total = -(-cells // 4096)
    steady = [
        (at, mb) for at, done, mb in looks if FLAT_FROM * cells <= done * 4096 and done < total
    ]
    facts = {
        "seconds": round(looks[-1][0], 1),
        "blocks": most,
        "blocks_there_before": before,
        "peak_mb": round(max(mb for *_, mb in looks)),
    }
    if steady:
        memory = [mb for _, mb in steady]
        facts |= {
            "encoding_mb": [round(min(memory)), round(max(memory))],
            "encoding_growth": round(max(memory) / memory[0] - 1, 4),
        }
    done_at: dict[int, float] = {}
    for at, done, _ in looks:
        done_at.setdefault(done, at)
    first, last = min(d for d in done_at if d > before), max(done_at)
    if last > first:
        seconds = done_at[last] - done_at[first]
        facts["cells_a_second"] = round((last - first) * 4096 / seconds)
    every = max(1, len(looks) // 60)
    facts["memory_over_time"] = [
        [round(at, 1), min(done * 4096, cells), round(mb)] for at, done, mb in looks[::every]
    ]
    return facts


def _done(blocks: Path) -> int:
    return len(list(blocks.glob("cells-*.npz"))) if blocks.is_dir() else 0


def _resident_mb(process: int) -> float:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(x.split()[1]) / 1024 for x in lines if x.startswith("VmRSS")), 0.0)


def _vectors(path: Path) -> np.ndarray:
    return np.asarray(ad.read_h5ad(path, backed="r").obsm["X_scm"])


def _in_a_child(work: Any, *args: Any) -> None:
    """Run where the memory that it takes is given back."""
    import multiprocessing

    child = multiprocessing.get_context("spawn").Process(target=work, args=args)
    child.start()
    child.join()
    assert child.exitcode == 0


if __name__ == "__main__":
    main()
