"""The processes of one training: ranks, communication, and each one's share of a batch.

One process needs no launcher; several run under `torchrun`, with gloo on CPUs and NCCL on GPUs.
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
    """This process's rank, from 0, the number of processes, and this process's device."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the first process, the one that writes."""
        return self.rank == 0

    def total(self, value: Tensor) -> Tensor:
        """Sum a tensor over all processes."""
        if self.size > 1:
            value = value.clone()
            dist.all_reduce(value)
        return value

    def count(self, holds: bool) -> int:
        """Count the processes for which something holds; a single process does not use the device."""
        if self.size == 1:
            return int(holds)
        return int(self.total(torch.tensor(int(holds), device=self.device)))

    def sum_counts(self, counts: np.ndarray) -> np.ndarray:
        """Sum integer counts over all processes."""
        if self.size == 1:
            return counts
        return np.asarray(self.total(torch.from_numpy(counts).to(self.device)).cpu().numpy())

    def gather(self, value: Any) -> list[Any]:
        """Collect a small value from every process, on all of them."""
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

    For a CUDA device each process takes the GPU of its local rank.
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
    """Distribute a module, identical on all processes: as copies (DDP) or as shards (FSDP2).

    If `sharded`, each process holds only a shard of weights, gradients and optimizer state; `layers` are
    sharded one by one.
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
        # Newer torch warns of a new name for it, which the oldest supported version lacks.
        warnings.simplefilter("ignore", FutureWarning)
        return nn.parallel.DistributedDataParallel(module, broadcast_buffers=False)


class BatchSource(Protocol):
    """Source of batches; its methods are pure functions of their arguments."""

    def cells(self, step: int) -> tuple[np.ndarray, int]:
        """Return the cells of a step, over all processes, and their epoch."""

    def load(self, cells: np.ndarray, epoch: int) -> Any:
        """Return these cells as a batch, masked or thinned."""

    def names(self, cells: np.ndarray) -> list[str]:
        """Return names of cells for a message."""


def rank_batches(
    source: BatchSource, cells: np.ndarray, epoch: int, size: int, ranks: Ranks
) -> Iterator[Any]:
    """Load one process's share of a global batch as micro-batches, on its device.

    Collective calls need the same number of micro-batches on all processes; where one has no cells, it
    gets one without anything to predict and with an empty `cells_B`.

    Parameters
    ----------
    source
        Source of batches.
    cells
        (B,) positions over all processes, at least one.
    epoch
        Of the masks or the thinning.
    size
        Most cells of a micro-batch.
    ranks
        This process among all.
    """
    share = rank_share(cells, ranks.rank, ranks.size)
    largest = -(-len(cells) // ranks.size)
    for part in np.array_split(share, -(-largest // size)):
        batch = source.load(part if len(part) else cells[:1], epoch)
        if not len(part):
            batch = batch.without_targets()
        yield batch.to(ranks.device)
