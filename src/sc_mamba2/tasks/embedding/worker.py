"""One of many processes of an embedding: `torchrun … -m sc_mamba2.tasks.embedding.worker JOB`, or of Dask.

Processes know nothing of each other but their number: each has every so-manieth block. Whoever dies loses
the block that it was at; started again, with any number of processes, they go on.
"""

import logging
import os
import sys
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path

import torch

from sc_mamba2.errors import UserError
from sc_mamba2.tasks.embedding.encode import encode_blocks
from sc_mamba2.tasks.embedding.job import EmbedJob, Opened
from sc_mamba2.training import choose_device

_log = logging.getLogger(__name__)


def main(arguments: list[str]) -> int:
    """Embed this process's share of a job; return the exit code."""
    rank, size = (int(os.environ.get(name, at)) for name, at in (("RANK", 0), ("WORLD_SIZE", 1)))
    logging.basicConfig(level=logging.INFO, format=f"process {rank}: %(message)s")
    path = Path(arguments[0])
    try:
        job = EmbedJob.read(path)
        if choose_device(job.compute.device).type == "cuda":
            # More processes than GPUs share these, which pays where reading takes longer.
            local = int(os.environ.get("LOCAL_RANK", "0"))
            torch.cuda.set_device(local % torch.cuda.device_count())
        with job.opened() as opened:
            share = job.starts[rank::size]
            done = list(encode_blocks(*opened, path.parent, share, job.options, job.compute))
    except UserError as error:
        _log.error("%s", error)
        return 2
    _log.debug("%d of %d blocks were embedded here", len(done), len(share))
    return 0


def encode_block(start: int, path: Path) -> int:
    """Embed one block of a job, as a task of a Dask worker; return its first cell."""
    job, opened, _ = _kept_open(path, path.stat().st_mtime_ns if path.is_file() else 0)
    list(encode_blocks(*opened, path.parent, [start], job.options, job.compute))
    return start


@lru_cache(maxsize=1)
def _kept_open(path: Path, _written: int) -> tuple[EmbedJob, Opened, ExitStack]:
    """Open a job once for all tasks of a process; what is open closes with the stack."""
    job, stack = EmbedJob.read(path), ExitStack()
    return job, stack.enter_context(job.opened()), stack


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
