"""The processes of one training: who is who, what they exchange, and each one's part of a batch.

One process needs no launcher; under `torchrun` there are more, over gloo on CPUs and NCCL on GPUs.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, distributed as dist, nn

from sc_mamba2.tokens import rank_share


@dataclass(frozen=True)
class Ranks:
    """This process among all: its number, from 0, how many there are, and where it computes."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def total(self, value: Tensor) -> Tensor:
        """Sum a tensor over all processes."""
        if self.size > 1:
            value = value.clone()
            dist.all_reduce(value)
        return value

    def count(self, holds: bool) -> int:
        """Count the processes for which something holds; one alone asks no device."""
        if self.size == 1:
            return int(holds)
        return int(self.total(torch.tensor(int(holds), device=self.device)))

    def sum_counts(self, counts: np.ndarray) -> np.ndarray:
        """Sum whole numbers over all processes, each of which counted its share."""
        if self.size == 1:
            return counts
        return np.asarray(self.total(torch.from_numpy(counts).to(self.device)).cpu().numpy())

    def gather(self, value: Any) -> list[Any]:
        """Collect a small value of every process, on all of them."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, value)
        return found

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            dist.barrier()


ALONE = Ranks(0, 1, torch.device("cpu"))


@contextmanager
def joined_ranks(device: torch.device) -> Iterator[Ranks]:
    """Join the processes that `torchrun` started, or be the only one.

    Of a kind of device that is a GPU, each process takes the one of its local rank.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Ranks(0, 1, device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), device)
    finally:
        dist.destroy_process_group()


def share_model(module: nn.Module, layers: nn.ModuleList, ranks: Ranks, sharded: bool) -> nn.Module:
    """Let all processes train one module, equal on each: copies of it (DDP), or its shards (FSDP2).

    Where it is `sharded`, each process holds a shard of weights, gradients and optimizer only; `layers`
    are sharded one by one.
    """
    if ranks.size == 1:
        return module
    if sharded:
        from torch.distributed.fsdp import fully_shard

        for layer in layers:
            fully_shard(layer)
        fully_shard(module)
        return module
    with warnings.catch_warnings():
        # Newer torch has another name for it, which the oldest that we take does not know.
        warnings.simplefilter("ignore", FutureWarning)
        return nn.parallel.DistributedDataParallel(module, broadcast_buffers=False)


class BatchSource(Protocol):
    """Where batches come from; pure functions of their arguments."""

    def cells(self, step: int) -> tuple[np.ndarray, int]:
        """Give the cells of a step, over all processes, and the epoch they belong to."""

    def load(self, cells: np.ndarray, epoch: int) -> Any:
        """Give these cells as a batch, masked or thinned."""

    def names(self, cells: np.ndarray) -> list[str]:
        """Name cells for a message."""


def rank_batches(
    source: BatchSource, cells: np.ndarray, epoch: int, size: int, ranks: Ranks
) -> Iterator[Any]:
    """Load one process's share of a global batch, on its device.

    Processes that share a model act together, so each has the same number of pieces; one without cells
    of its own gets a piece that asks for nothing, and whose `cells_B` is empty.

    Parameters
    ----------
    source
        Where batches come from.
    cells
        (B,) positions over all processes, at least one.
    epoch
        Of the masks or the thinning.
    size
        Cells of a piece at most.
    ranks
        This process among all.
    """
    share = rank_share(cells, ranks.rank, ranks.size)
    largest = -(-len(cells) // ranks.size)
    for part in np.array_split(share, -(-largest // size)):
        batch = source.load(part if len(part) else cells[:1], epoch)
        if not len(part):
            batch = batch.asks_nothing()
        yield batch.to(ranks.device)
