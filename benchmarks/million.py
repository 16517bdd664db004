"""A million simulated cells from `.h5ad` files to a token store and to batches: memory, time, bytes.

    OMP_NUM_THREADS=1 python benchmarks/million.py [--cells 1000000] [--files 20] [--workers 1]

The files are written first, one in memory at a time. Then, each in a process of its own: `make_corpus`,
which is what `scm pretrain` calls; batches in the order of training; what a training reads before
its first step. The resident memory of each, with that of its children, is looked at every tenth of
a second. All genes of a cell are kept unless `--max-length` is lower. Checks the free disk before
it starts and removes all that it wrote, after Ctrl-C, SIGTERM and failures too. Linux alone.
Writes `results/million.json`; about half an hour.
"""

import argparse
import json
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
from machine import describe_machine
from memory import peak_of_tree
from scipy import sparse

from sc_mamba2.genes import load_vocabulary

RESULTS = Path(__file__).parent / "results"
GENES, COLUMNS, SPREAD = 1500, 20_000, 0.4
CELLS_AT_ONCE = 1000
BATCH, READ_CELLS = 512, 204_800
# A gene of a cell in a compressed file, in the store, and in the parts that are joined to it.
BYTES_A_GENE = 6 + 7 + 7
PARTS = ("ingest", "read", "start")
TISSUES, ASSAYS = ("blood", "lung", "eye", "brain"), ("10x 3' v3", "10x 3' v2")


def simulate(cells: int, rates: np.ndarray, generator: np.random.Generator) -> sparse.csr_matrix:
    """Simulate counts: a gene is there by its rate times the cell's, its counts are geometric."""
    parts = []
    for start in range(0, cells, CELLS_AT_ONCE):
        number = min(CELLS_AT_ONCE, cells - start)
        depth = generator.lognormal(-(SPREAD**2) / 2, SPREAD, number).astype(np.float32)
        chances = (np.outer(depth, rates) * 2**16).clip(0, 2**16 - 1).astype(np.uint16)
        there = generator.integers(0, 2**16, (number, COLUMNS), np.uint16) < chances
        offsets = np.concatenate([[0], np.cumsum(there.sum(1))])
        counts = generator.geometric(0.5, offsets[-1]).astype(np.float32)
        indices = np.nonzero(there)[1].astype(np.int32)
        parts.append(sparse.csr_matrix((counts, indices, offsets), shape=there.shape))
    return sparse.vstack(parts, format="csr")


def write_files(folder: Path, cells: int, files: int) -> dict[str, Any]:
    """Write the cells as `.h5ad` files with the columns that CELLxGENE gives; return figures."""
    generator = np.random.default_rng(0)
    vocabulary = load_vocabulary()
    rows = np.sort(generator.choice(vocabulary.gene_rows, COLUMNS, replace=False))
    genes = pd.DataFrame(index=[vocabulary.ids[row] for row in rows])
    rates = generator.lognormal(0, 1, COLUMNS)
    for _ in range(50):  # until the mean is what is asked for, with no gene above all cells
        rates = (rates * GENES / rates.sum()).clip(max=0.95)
    started, entries = time.perf_counter(), 0
    for number, part in enumerate(np.array_split(np.arange(cells), files)):
        matrix = simulate(len(part), rates.astype(np.float32), generator)
        obs = pd.DataFrame(
            {
                "study": f"study {number}",
                "cell_type": pd.Categorical([f"type {cell % 60}" for cell in part]),
                "tissue": TISSUES[number % len(TISSUES)],
                "assay": ASSAYS[number % len(ASSAYS)],
                "is_primary_data": True,
            },
            index=[f"cell {cell}" for cell in part],
        )
        path = folder / f"study-{number:03d}.h5ad"
        anndata.AnnData(matrix, obs, genes).write_h5ad(path, compression="lzf")
        entries += matrix.nnz
        print(f"{path.name}: {time.perf_counter() - started:.0f} s", flush=True)
    size = sum(path.stat().st_size for path in folder.glob("*.h5ad"))
    seconds = round(time.perf_counter() - started, 1)
    mean = round(entries / cells, 1)
    return {"seconds": seconds, "files": files, "bytes": size, "mean_genes": mean}


def ingest(folder: Path, workers: int, max_length: int) -> dict[str, Any]:
    """Make the store of the files, as pretraining does."""
    from sc_mamba2.tasks.pretraining.corpus import make_corpus
    from sc_mamba2.tasks.pretraining.params import CorpusParams

    params = CorpusParams(
        sources=(str(folder / "*.h5ad"),),
        store=str(folder / "store"),
        workers=workers,
        max_length=max_length,
    )
    started = time.perf_counter()
    report = make_corpus(params)
    seconds = time.perf_counter() - started
    files = [path for path in (folder / "store").rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    cells, tokens = report["store"]["cells"], report["store"]["tokens"]
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(_cpu_seconds(), 1),
        "cells": cells,
        "duplicates": report["total"]["dropped"]["duplicate"],
        "tokens": tokens,
        "cells_per_second": round(cells / seconds),
        "cells_per_cpu_second": round(cells / _cpu_seconds()),
        "shards": len(list((folder / "store").glob("shard-*"))),
        "bytes": size,
        "bytes_per_cell": round(size / cells, 1),
        "bytes_per_token": round(size / tokens, 3),
    }


def read(folder: Path) -> dict[str, Any]:
    """Open the store and read batches in the order of training."""
    from sc_mamba2.tokens import Sampler, TokenStore, make_batch

    started = time.perf_counter()
    store = TokenStore.open(folder / "store")
    sampler = Sampler(store.lengths, BATCH, seed=0)
    opened = time.perf_counter() - started
    started, cells, useful, places = time.perf_counter(), 0, 0, 0
    for batch in sampler.batches(0):
        ids_BL = make_batch(store, batch, store.tokenizer.vocabulary).token_ids_BL
        cells += len(batch)
        useful += len(batch) + int(store.lengths[batch].sum())
        places += ids_BL.numel()
        if cells >= READ_CELLS:
            break
    seconds = time.perf_counter() - started
    return {
        "seconds_to_open": round(opened, 2),
        "cells": cells,
        "seconds": round(seconds, 1),
        "cells_per_second": round(cells / seconds),
        "useful_share": round(useful / places, 3),
    }


def start(folder: Path) -> dict[str, Any]:
    """Do what every process of a training does with the store first; one study is held out."""
    from sc_mamba2.tokens import TokenStore
    from sc_mamba2.training.corpus_cells import expressed_vocabulary, split_cells
    from sc_mamba2.training.options import HeldOut

    started = time.perf_counter()
    store = TokenStore.open(folder / "store")
    training, judging = split_cells(store, HeldOut(column="study", values=("study 1",)))
    split = time.perf_counter()
    vocabulary = expressed_vocabulary(store, training)
    return {
        "seconds_to_split": round(split - started, 2),
        "seconds_to_see_the_vocabulary": round(time.perf_counter() - split, 2),
        "held_out": len(judging),
        "vocabulary": vocabulary.size,
    }


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def watched(part: str, folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Run a part in a process of its own; its figures and the peak of its memory."""
    command = [sys.executable, __file__, "--part", part, "--folder", str(folder)]
    command += ["--workers", str(chosen.workers), "--max-length", str(chosen.max_length)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            resident, own = peak_of_tree(child)
            assert child.stdout is not None
            output = child.stdout.read()
        except BaseException:
            child.terminate()
            raise
    if child.returncode:
        raise SystemExit(f"the part {part} ended with {child.returncode}")
    found: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return found | {"peak_gib": _gib(resident), "peak_gib_without_mapped_files": _gib(own)}


def _gib(value: float) -> float:
    return round(value / 2**30, 3)


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    """Write, ingest and read in a folder that is removed at the end."""
    with _folder(chosen.folder, chosen.cells * GENES * BYTES_A_GENE) as folder:
        record: dict[str, Any] = {"written": write_files(folder, chosen.cells, chosen.files)}
        for part in PARTS:
            record[part] = watched(part, folder, chosen)
            print(part, json.dumps(record[part]), flush=True)
    return record


@contextmanager
def _folder(parent: Path, needed: int) -> Iterator[Path]:
    free = shutil.disk_usage(parent).free
    if free < 1.2 * needed:
        raise SystemExit(f"{needed / 1e9:.0f} GB are needed on the disk, {free / 1e9:.0f} are free")
    with tempfile.TemporaryDirectory(prefix="million-", dir=parent) as folder:
        yield Path(folder)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--max-length", type=int, default=8192)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--output", type=Path, default=RESULTS / "million.json")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Run everything and keep the figures, or run one part in this process."""
    chosen = _arguments()
    warnings.simplefilter("ignore")
    if chosen.part == "ingest":
        print(json.dumps(ingest(chosen.folder, chosen.workers, chosen.max_length)))
    elif chosen.part == "read":
        print(json.dumps(read(chosen.folder)))
    elif chosen.part == "start":
        print(json.dumps(start(chosen.folder)))
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        command = f"python benchmarks/million.py --cells {chosen.cells} --files {chosen.files}"
        record = {
            "command": f"{command} --workers {chosen.workers} --max-length {chosen.max_length}",
            "machine": describe_machine(),
            **measure(chosen),
        }
        chosen.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
