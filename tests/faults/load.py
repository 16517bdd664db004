"""What the forks of the tests of load do, and what they say of their memory."""

import resource
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


def peak_bytes() -> int:
    """Return the most memory that this process held at once."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def validate_and_tokenize(cells: str, store: str) -> int:
    """Do what stands before any embedding; say the peak of memory."""
    result = invoke("validate", cells)
    if result.exit_code:
        say(result.output)
        return result.exit_code
    report = make_corpus(CorpusParams(sources=[cells], store=store))
    say([report["store"]["cells"], peak_bytes()])
    return 0


def train_long(job: str) -> int:
    """Train, and say the peak of memory after a tenth of the steps and at the end."""

    def on_step(taken, steps, row):
        if taken in (steps // 10, steps):
            say(peak_bytes())

    return pretrain(PretrainJob.model_validate_json(Path(job).read_text()), on_step).exit_code
