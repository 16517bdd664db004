"""Speed of the embedding by one process and by several: by the clock, and by the seconds of the cores.

    python benchmarks/embedding_processes.py --cells 24000 --out benchmarks/results/embedding_processes.json

Prints a table. Rounds of all numbers of processes take turns, so that what else the machine does hits them
alike. The time goes from the first block to the last, without the start; a `micro` checkpoint with random
weights, simulated cells of 200 genes, one thread a process.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from embedding import _write_inputs as write_inputs
from machine import describe_machine

CELLS_PER_BLOCK = 1024
EMBED = """
import sys
from sc_mamba2.tasks.embedding.model import load_encoder
from sc_mamba2.tasks.embedding.params import EmbeddingOptions, KeyParams, SourceParams
from sc_mamba2.tasks.embedding.predict import encode_file
from sc_mamba2.tasks.shared.params import IngestionParams, LaunchParams, ValidationParams
from sc_mamba2.training import ComputeOptions
folder, blocks, together, processes = sys.argv[1:]
options = EmbeddingOptions(checkpoint=folder + "/checkpoint", cells_a_block=int(together))
encode_file(
    load_encoder(options), SourceParams(input=folder + "/cells.h5ad", blocks=blocks), IngestionParams(),
    ValidationParams(), KeyParams(), options, ComputeOptions(device="cpu"), LaunchParams(processes=int(processes)),
)
"""


def main() -> None:
    """Measure rounds of every number of processes, and compare what they write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=24_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_inputs(folder, args.cells)
        rows = [
            {"processes": count} | _embed(folder, folder / f"{turn}-{count}", count)
            for turn in range(args.rounds)
            for count in args.processes
        ]
        first, *others = (_vectors(folder / f"0-{count}") for count in args.processes)
        equal = all(np.array_equal(first, other) for other in others)
    for count in args.processes:
        own = [row for row in rows if row["processes"] == count]
        print(count, {name: round(median(row[name] for row in own), 2) for name in own[0]})
    result = {"machine": describe_machine(), "cells": args.cells, "equal": equal, "rounds": rows}
    print(json.dumps(result, indent=1))
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _embed(folder: Path, blocks: Path, processes: int) -> dict[str, Any]:
    words = [str(folder), str(blocks), str(CELLS_PER_BLOCK), str(processes)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    child = subprocess.Popen([sys.executable, "-c", EMBED, *words], env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0
    files = sorted(blocks.glob("cells-*.npz"), key=lambda path: path.stat().st_mtime)
    seconds = files[-1].stat().st_mtime - files[processes - 1].stat().st_mtime
    return {
        "cells_a_second": CELLS_PER_BLOCK * (len(files) - processes) / seconds,
        "core_seconds_in_all": usage.ru_utime + usage.ru_stime,
        "load": os.getloadavg()[0],
    }


def _vectors(blocks: Path) -> np.ndarray:
    return np.concatenate([np.load(path)["vectors"] for path in sorted(blocks.glob("cells-*"))])


if __name__ == "__main__":
    main()
