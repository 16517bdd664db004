"""What the forks of the tests of load do, and what they say of their memory."""

import threading
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from tests.cli import invoke
from tests.zygote import say

from sc_mamba2.cells import simulate_cells
from sc_mamba2.tasks.pretraining.corpus import make_corpus
from sc_mamba2.tasks.pretraining.params import CorpusParams
from sc_mamba2.training.job import PretrainJob
from sc_mamba2.training.run import pretrain

BLOCK, GENES = 1_000, 400


def write_many(path: Path, cells: int) -> None:
    """Write a file of cells that was never whole in memory: the same thousand again and again."""
    block = simulate_cells(min(cells, BLOCK), GENES)
    names = pd.Index([f"cell {number}" for number in range(cells)])
    types = pd.Categorical(np.resize(block.obs["cell_type"].to_numpy(), cells))
    with h5py.File(path, "w") as file:
        ad.io.write_elem(file, "/", block)
        ad.io.write_elem(file, "obs", pd.DataFrame({"cell_type": types}, index=names))
        matrix = ad.io.sparse_dataset(file["X"])
        for _ in range(cells // len(block) - 1):
            matrix.append(block.X)


class Peak:
    """The most memory that this process holds at once within the block, files that are mapped apart."""

    bytes = 0

    def __enter__(self) -> "Peak":
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        self.thread.join()

    def _watch(self) -> None:
        while not self.over.wait(0.05):
            self.bytes = max(self.bytes, own_bytes())


def own_bytes() -> int:
    """Return the memory that this process holds, files that are mapped apart."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024


def validate_and_tokenize(cells: str, store: str) -> int:
    """Do what stands before any embedding; say the peaks of memory."""
    with Peak() as validating:
        result = invoke("validate", cells)
    with Peak() as tokenizing:
        report = make_corpus(CorpusParams(sources=[cells], store=store))
    say([report["store"]["cells"], validating.bytes, tokenizing.bytes])
    return result.exit_code


def train_long(job: str) -> int:
    """Train, and say what it holds after a tenth of the steps and at the end."""

    def on_step(taken, steps, row):
        if taken in (steps // 10, steps):
            say(own_bytes())

    return pretrain(PretrainJob.model_validate_json(Path(job).read_text()), on_step).exit_code
