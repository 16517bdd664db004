"""Blocks of cells as a job: a file that other processes and machines read, beside the blocks that they write.

Processes know nothing of each other but their number: each has every so-manieth block. Whoever dies loses
the block that it was at; started again, with any number of processes, they go on.
"""

import logging
import os
from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from pydantic import Field

from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_file
from sc_mamba2.tasks.shared.parameters import Parameters
from sc_mamba2.training import ComputeOptions, choose_device

JOB = "job.json"
DoBlock = Callable[[int], object]
_log = logging.getLogger(__name__)


class BlockJob(Parameters):
    """What processes need to know that do blocks of cells; a task says what a block is."""

    worker: ClassVar[str]  # module that does it, with the job's file as its one argument

    starts: tuple[int, ...] = Field(description="first cells of the blocks that lacked")
    compute: ComputeOptions

    @abstractmethod
    def opened(self, folder: Path) -> AbstractContextManager[DoBlock]:
        """Give the function that writes the block of a first cell to the folder, all being loaded."""

    def write(self, folder: Path) -> Path:
        """Write it beside the blocks; return the file."""
        with atomic_file(folder / JOB) as draft:
            draft.write_text(self.model_dump_json(indent=1), encoding="utf-8")
        return folder / JOB

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read it, or refuse that it is not seen from here (rule ``job-missing``)."""
        if not path.is_file():
            raise UserError(
                "job-missing",
                found=f"no job at '{path}'",
                expected="the file that the command wrote next to the blocks, in a folder shared by all machines",
                mend="write the output to a shared folder",
            )
        return cls.model_validate_json(path.read_text(encoding="utf-8"))


def work(kind: type[BlockJob], arguments: list[str]) -> int:
    """Do this process's share of a job, as one of those that torchrun started; return the exit code."""
    rank, size = (int(os.environ.get(name, at)) for name, at in (("RANK", 0), ("WORLD_SIZE", 1)))
    logging.basicConfig(level=logging.INFO, format=f"process {rank}: %(message)s")
    path = Path(arguments[0])
    try:
        job = kind.read(path)
        if choose_device(job.compute.device).type == "cuda":
            # More processes than GPUs share these, which pays where reading takes longer.
            local = int(os.environ.get("LOCAL_RANK", "0"))
            torch.cuda.set_device(local % torch.cuda.device_count())
        with job.opened(path.parent) as do_block:
            for start in job.starts[rank::size]:
                do_block(start)
    except UserError as error:
        _log.error("%s", error)
        return 2
    return 0


def do_one(start: int, kind: type[BlockJob], path: Path) -> int:
    """Do one block of a job, as a task of a Dask worker; return its first cell."""
    do_block, _ = _kept_open(kind, path, path.stat().st_mtime_ns if path.is_file() else 0)
    do_block(start)
    return start


@lru_cache(maxsize=1)
def _kept_open(kind: type[BlockJob], path: Path, _written: int) -> tuple[DoBlock, Any]:
    """Open a job once for all tasks of a process; what is open closes with the stack."""
    stack = ExitStack()
    return stack.enter_context(kind.read(path).opened(path.parent)), stack
