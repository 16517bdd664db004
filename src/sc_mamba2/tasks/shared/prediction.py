"""Run a task model over cells, in this process or in several, with bitwise identical results."""

import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import numpy as np

import sc_mamba2
from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_folder
from sc_mamba2.model import Backbone, TaskModel
from sc_mamba2.tasks.shared.block_job import BlockJob, ComputeBlock, work
from sc_mamba2.tasks.shared.blocks import has_block, open_blocks, read_arrays, write_block
from sc_mamba2.tasks.shared.params import BlockLaunchParams
from sc_mamba2.tasks.shared.progress import training_progress
from sc_mamba2.tasks.shared.worker_processes import compute_in_workers
from sc_mamba2.tokens import TokenizedCells, TokenStore, TokenStoreWriter
from sc_mamba2.training import ComputeOptions, choose_device, run_over_cells

_MODEL, _TOKENS = "model", "tokens"
_BATCHES_PER_BLOCK = 64
Outputs = dict[str, np.ndarray]


def apply_compute(backbone: Backbone, compute: ComputeOptions) -> None:
    """Apply the compute options to a backbone."""
    backbone.scan_path = compute.scan_path
    backbone.recompute_layers = compute.recompute_layers


def run_model(
    model: TaskModel, tokens: TokenizedCells, batch_size: int, compute: ComputeOptions
) -> Outputs:
    """Return a model's outputs for `readable` cells, each with first dimension N."""
    device = choose_device(compute.device)
    model = model.to(device).eval()
    apply_compute(model.backbone, compute)
    vocabulary = model.tokenizer.vocabulary
    return run_over_cells(model.predictor(tokens.obs), tokens, vocabulary, batch_size, device)


def run_in_workers(
    model: TaskModel,
    tokens: TokenizedCells,
    batch_size: int,
    compute: ComputeOptions,
    launch: BlockLaunchParams,
) -> Outputs:
    """Do the same as `run_model` in other processes; blocks of a killed run are reused.

    A block consists of whole batches of `run_model`, which orders cells by length.
    """
    folder, kind = Path(launch.blocks), type(model)
    named = f"{kind.__module__}.{kind.__qualname__}"
    open_blocks(folder, {"sha256": _identity(named, model, tokens, batch_size, compute)})
    if not (folder / _TOKENS).exists():
        model.cpu().save_pretrained(folder / _MODEL)
        with (
            atomic_folder(folder / _TOKENS) as draft,
            TokenStoreWriter(draft, model.tokenizer) as w,
        ):
            w.add(tokens)
    size, order_N = batch_size * _BATCHES_PER_BLOCK, _order(tokens.lengths)
    starts = range(0, len(tokens), size)
    if todo := [start for start in starts if not has_block(folder, start)]:
        job = PredictJob(
            version=sc_mamba2.__version__,
            model=named,
            batch_size=batch_size,
            cells_a_block=size,
            starts=tuple(todo),
            compute=compute,
        )
        with training_progress("predicting", unit="cell") as on_cell:
            compute_in_workers(job, folder, todo, launch, lambda cell: on_cell(cell, len(tokens)))
    outputs: Outputs = {}
    for start in starts:
        for name, array in read_arrays(folder, start).items():
            whole = outputs.setdefault(name, np.zeros((len(tokens), *array.shape[1:]), array.dtype))
            whole[order_N[start : start + size]] = array
    return outputs


class PredictJob(BlockJob):
    """A job that runs a model over blocks of tokens."""

    worker: ClassVar[str] = "sc_mamba2.tasks.shared.prediction"

    version: str
    model: str  # its class, one of ours; the model and the tokens are in the job's folder
    batch_size: int
    cells_a_block: int

    @contextmanager
    def opened(self, folder: Path) -> Iterator[ComputeBlock]:
        """Load the model and open the tokens (raises rule ``job-differs``); see the base class."""
        module, _, name = self.model.rpartition(".")
        if self.version != sc_mamba2.__version__ or not module.startswith("sc_mamba2.tasks."):
            raise UserError(
                "job-differs",
                found=f"a job of version {self.version} for '{self.model}', "
                f"and version {sc_mamba2.__version__} here",
                expected="the same version on every machine, and the same model",
                mend="install the same version everywhere, and start again",
            )
        model = getattr(import_module(module), name).from_pretrained(folder / _MODEL)
        tokens = TokenStore.open(folder / _TOKENS)
        order_N = _order(tokens.lengths)

        def compute_one(start: int) -> None:
            if not has_block(folder, start):
                part = tokens.take(order_N[start : start + self.cells_a_block])
                write_block(folder, start, **run_model(model, part, self.batch_size, self.compute))

        yield compute_one


def _order(lengths_N: np.ndarray) -> np.ndarray:
    """Return the order of `reading_order`; it is stable, so that a part of it keeps its order."""
    return np.argsort(lengths_N, kind="stable")


def _identity(
    named: str, model: TaskModel, tokens: TokenizedCells, batch_size: int, compute: ComputeOptions
) -> str:
    facts = [sc_mamba2.__version__, named, model.sha256(), model.settings(), batch_size]
    digest = hashlib.sha256(json.dumps([*facts, compute.scan_path], sort_keys=True).encode())
    for array in (tokens.gene_rows, tokens.bins, tokens.values, tokens.offsets):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(work(PredictJob, sys.argv[1:]))
