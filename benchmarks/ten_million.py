"""Memory over time of `scm embed` on more cells than memory holds: ten million simulated ones, sixteen genes each.

    OMP_NUM_THREADS=1 python benchmarks/ten_million.py [--cells 10000000] [--checkpoint toy] [--suffix .zarr]

The cells are written first, a hundred thousand in memory at a time, as one `.h5ad` file of a CSR matrix. Then the
command runs in a process of its own, with --nproc in several; every second it is looked at what it and its
children hold, and how many blocks are there. Checks the free disk before it starts, and removes all that it wrote,
after Ctrl-C and failures too. Linux alone. Writes `results/ten_million.json` and the picture beside it.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import zarr
from machine import describe_machine
from memory import _status, _tree

from sc_mamba2.model import read_checkpoint

RESULTS = Path(__file__).parent / "results"
AT_ONCE, GENES_A_CELL, COLUMNS = 100_000, 16, 3200
POINTS = 60  # of the curve that are kept


def write_toy(folder: Path) -> None:
    """Write a checkpoint of one layer of width 32 with random weights: it is memory that is looked at."""
    import torch

    from sc_mamba2.genes import load_vocabulary
    from sc_mamba2.model import Backbone, Heads, PretrainedModel, preset
    from sc_mamba2.tokens import Tokenizer, TokenizerRules

    torch.manual_seed(0)
    vocabulary = load_vocabulary()
    backbone = Backbone(
        preset("genes", vocabulary.size, pad_id=vocabulary.pad_id, n_bins=51, n_layers=1)
    )
    PretrainedModel(backbone, Tokenizer(vocabulary, TokenizerRules()), Heads()).save_pretrained(
        folder
    )


def write_cells(path: Path, cells: int, checkpoint: str) -> None:
    """Write counts of genes that a checkpoint knows: each cell has one of every sixteenth part of the columns."""
    chance = np.random.default_rng(0)
    known = read_checkpoint(checkpoint).vocabulary
    rows = np.sort(chance.choice(known.gene_rows, COLUMNS, replace=False))
    entries, share = cells * GENES_A_CELL, COLUMNS // GENES_A_CELL
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        matrix = file.create_group("X")
        kind = {"encoding-type": "csr_matrix", "encoding-version": "0.1.0"}
        matrix.attrs.update(kind | {"shape": np.array([cells, COLUMNS])})
        data = matrix.create_dataset("data", (entries,), np.float32, chunks=(min(entries, 2**18),))
        indices = matrix.create_dataset(
            "indices", (entries,), np.int32, chunks=(min(entries, 2**18),)
        )
        matrix["indptr"] = np.arange(cells + 1, dtype=np.int64) * GENES_A_CELL
        for start in range(0, cells, AT_ONCE):
            number = min(AT_ONCE, cells - start)
            part = slice(start * GENES_A_CELL, (start + number) * GENES_A_CELL)
            # Most of a part's columns are rare, as most genes are.
            within = (share * chance.random((number, GENES_A_CELL)) ** 3).astype(np.int32)
            indices[part] = (within + share * np.arange(GENES_A_CELL, dtype=np.int32)).ravel()
            data[part] = chance.geometric(0.4, number * GENES_A_CELL)
        obs = pd.DataFrame(index=[f"cell {number}" for number in range(cells)])
        ad.io.write_elem(file, "obs", obs)
        ad.io.write_elem(file, "var", pd.DataFrame(index=[known.ids[row] for row in rows]))


def watch(words: list[str], blocks: Path) -> tuple[list[list[float]], float]:
    """Run a command; give seconds, MiB held in all and without mapped files, and blocks, and its whole time."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    seen: list[list[float]] = []
    started = time.perf_counter()
    with subprocess.Popen(words, env=environment) as child:
        try:
            while child.poll() is None:
                tree = _tree(child.pid)
                held = [sum(_status(name, one) for one in tree) for name in ("VmRSS", "RssAnon")]
                done = sum(1 for _ in blocks.glob("cells-*.npz"))
                at = time.perf_counter() - started
                seen.append([round(at, 1), *(round(one / 2**20, 1) for one in held), done])
                time.sleep(1)
        except BaseException:
            child.terminate()
            raise
    if child.returncode:
        raise SystemExit(f"the command ended with {child.returncode}")
    return seen, time.perf_counter() - started


def summary(seen: list[list[float]], cells: int, seconds: float) -> dict[str, Any]:
    """Say how long each part took, and how memory grew while blocks were computed."""
    table = np.array(seen)
    most = int(table[:, 3].max())
    # The first blocks are slower, and memory rises to its level: the slope is that of the last three quarters.
    at_work = (table[:, 3] > most / 4) & (np.arange(len(table)) <= table[:, 3].argmax())
    times, _, own, blocks = table[at_work].T
    first, last = times[0], times[-1]
    done = cells * (blocks[-1] - blocks[0]) / most
    slope = np.polyfit(cells * blocks / most / 1e6, own, 1)[0] if done else 0.0
    return {
        "seconds": round(seconds, 1),
        "seconds_before_the_first_block": float(table[table[:, 3] > 0][0, 0]),
        "seconds_after_the_last_block": round(seconds - table[table[:, 3].argmax(), 0], 1),
        "cells_a_second_while_embedding": round(done / max(1e-9, last - first), 1),
        "cells_a_second_in_all": round(cells / seconds, 1),
        "peak_mib": float(table[:, 1].max()),
        "peak_mib_without_mapped_files": float(table[:, 2].max()),
        "peak_mib_of_these_while_embedding": float(own.max()),
        "mib_more_for_a_million_cells_while_embedding": round(float(slope), 2),
    }


def draw(seen: list[list[float]], path: Path) -> None:
    """Draw memory and the share of blocks over time."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    minutes, held, own, blocks = np.array(seen).T
    figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
    axis.plot(minutes / 60, held / 1024, label="all resident pages")
    axis.plot(minutes / 60, own / 1024, label="without mapped files")
    axis.set(xlabel="minutes", ylabel="memory, GiB", ylim=(0, None))
    other = axis.twinx()
    other.fill_between(minutes / 60, 100 * blocks / max(1, blocks.max()), alpha=0.1, color="black")
    other.set(ylabel="blocks, %", ylim=(0, 105))
    axis.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=110)


def measure(chosen: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], list[list[float]]]:
    """Write the cells, embed them, and look at what was written."""
    source, output = folder / "cells.h5ad", folder / f"out{chosen.suffix}"
    checkpoint = chosen.checkpoint
    if checkpoint == "toy":
        checkpoint = str(folder / "toy")
        write_toy(folder / "toy")
    started = time.perf_counter()
    write_cells(source, chosen.cells, checkpoint)
    written = time.perf_counter() - started
    print(f"{source.stat().st_size / 1e6:.0f} MB written in {written:.0f} s", flush=True)
    words = [sys.executable, "-m", "sc_mamba2", "embed", str(source), "-o", str(output), "-q"]
    words += ["-c", checkpoint, "--nproc", str(chosen.nproc), "--device", "auto"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    seen, seconds = watch(words, folder / f".{output.name}.blocks" / "blocks")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    opened = zarr.open_group(output, mode="r") if output.is_dir() else h5py.File(output, "r")
    vectors = opened["obsm/X_scm"]
    assert vectors.shape[0] == chosen.cells and np.abs(vectors[chosen.cells - 1]).max() > 0
    files = [path for path in output.rglob("*") if path.is_file()] if output.is_dir() else [output]
    size = {"files": len(files), "mb": round(sum(path.stat().st_size for path in files) / 1e6, 1)}
    facts = {"cells": chosen.cells, "genes_a_cell": GENES_A_CELL, "width": vectors.shape[1]}
    input_mb = round(source.stat().st_size / 1e6, 1)
    sizes = {"input_mb": input_mb, "output": size}
    cores = {"core_seconds": round(used, 1), "cells_a_core_second": round(chosen.cells / used, 1)}
    return facts | sizes | summary(seen, chosen.cells, seconds) | cores, seen


def main() -> None:
    """Measure, and keep the figures and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=10_000_000)
    parser.add_argument(
        "--checkpoint",
        default="toy",
        help="toy: random weights, since it is memory that is looked at",
    )
    parser.add_argument("--suffix", choices=(".zarr", ".h5ad"), default=".zarr")
    parser.add_argument("--nproc", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--output", type=Path, default=RESULTS / "ten_million.json")
    chosen = parser.parse_args()
    # The cells, a copy of them, and what blocks and output hold of each cell.
    needed = chosen.cells * (2 * 8 * GENES_A_CELL + 4 * 3 * 256)
    free = shutil.disk_usage(chosen.folder).free
    if free < 1.2 * needed:
        raise SystemExit(f"{needed / 1e9:.0f} GB are needed on the disk, {free / 1e9:.0f} are free")
    with tempfile.TemporaryDirectory(prefix="ten-million-", dir=chosen.folder) as folder:
        found, seen = measure(chosen, Path(folder))
    print(json.dumps(found, indent=1))
    kept = seen[:: max(1, -(-len(seen) // POINTS))]
    columns = ["seconds", "mib", "mib_without_mapped_files", "blocks"]
    names = "--cells {cells} --checkpoint {checkpoint} --suffix {suffix} --nproc {nproc}"
    command = "python benchmarks/ten_million.py " + names.format(**vars(chosen))
    record = {"command": command, "machine": describe_machine(), **found}
    record |= {"load": os.getloadavg()[0], "curve": {"columns": columns, "rows": kept}}
    text = json.dumps(record, indent=1)
    chosen.output.write_text(text + "\n", encoding="utf-8")
    draw(seen, chosen.output.with_suffix(".png"))


if __name__ == "__main__":
    main()
