"""A job over blocks of cells: a file in the folder of the blocks, read by other processes and machines.

Each of n processes knows only its rank and n, and takes every n-th block. A process that dies loses only its
current block; a restarted job resumes, with any number of processes.
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
ComputeBlock = Callable[[int], object]
_log = logging.getLogger(__name__)


class BlockJob(Parameters):
    """What processes need to know to compute blocks of cells; subclasses define a block."""

    worker: ClassVar[str]  # module to run, with the job file as its only argument

    starts: tuple[int, ...] = Field(description="index of the first cell of each missing block")
    compute: ComputeOptions

    @abstractmethod
    def opened(self, folder: Path) -> AbstractContextManager[ComputeBlock]:
        """Load everything; yield the function that writes the block starting at a given cell."""

    def write(self, folder: Path) -> Path:
        """Write the job file to the folder of the blocks, and return its path."""
        with atomic_file(folder / JOB) as draft:
            draft.write_text(self.model_dump_json(indent=1), encoding="utf-8")
        return folder / JOB

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a job file (raises rule ``job-missing``)."""
        if not path.is_file():
            raise UserError(
                "job-missing",
                found=f"no job at '{path}'",
                expected="the file that the command wrote next to the blocks, in a folder shared by all machines",
                mend="write the output to a shared folder",
            )
        return cls.model_validate_json(path.read_text(encoding="utf-8"))


def work(kind: type[BlockJob], arguments: list[str]) -> int:
    """Do this process's share of a job under torchrun, and return the exit code."""
    rank, size = (int(os.environ.get(name, at)) for name, at in (("RANK", 0), ("WORLD_SIZE", 1)))
    logging.basicConfig(level=logging.INFO, format=f"process {rank}: %(message)s")
    path = Path(arguments[0])
    try:
        job = kind.read(path)
        if choose_device(job.compute.device).type == "cuda":
            # Processes may share a GPU, which helps if reading is the bottleneck.
            local = int(os.environ.get("LOCAL_RANK", "0"))
            torch.cuda.set_device(local % torch.cuda.device_count())
        with job.opened(path.parent) as compute_one:
            for start in job.starts[rank::size]:
                compute_one(start)
    except UserError as error:
        _log.error("%s", error)
        return 2
    return 0


def compute_block(start: int, kind: type[BlockJob], path: Path) -> int:
    """Compute one block of a job on a Dask worker, and return its first cell."""
    compute_one, _ = _opened_job(kind, path, path.stat().st_mtime_ns if path.is_file() else 0)
    compute_one(start)
    return start


@lru_cache(maxsize=1)
def _opened_job(kind: type[BlockJob], path: Path, _written: int) -> tuple[ComputeBlock, Any]:
    """Open a job once per process; return its function and the stack that keeps it open."""
    stack = ExitStack()
    return stack.enter_context(kind.read(path).opened(path.parent)), stack
