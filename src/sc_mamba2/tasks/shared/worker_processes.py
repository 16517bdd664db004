"""Process blocks of cells in other processes: local, on a Dask cluster, or started by hand."""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from sc_mamba2.cells.corpus.executors import in_order, open_executor
from sc_mamba2.errors import UserError
from sc_mamba2.tasks.shared.block_job import BlockJob, compute_block
from sc_mamba2.tasks.shared.blocks import has_block
from sc_mamba2.tasks.shared.launch import run_processes
from sc_mamba2.tasks.shared.params import LaunchParams

_POLL_SECONDS = 1
_log = logging.getLogger(__name__)


def compute_in_workers(
    job: BlockJob,
    folder: Path,
    starts: Sequence[int],
    launch: LaunchParams,
    on_cell: Callable[[int], None],
) -> None:
    """Write a job to the folder of the blocks, and wait until other processes have computed them.

    Parameters
    ----------
    starts
        First cells of the blocks.
    on_cell
        Progress: called with the first cell of a missing or finished block.

    Raises
    ------
    UserError
        Rules ``blocks-missing``, ``processes-failed``, ``worker-died`` and those of `open_executor`.
    """

    def missing_blocks() -> list[int]:
        missing = [start for start in starts if not has_block(folder, start)]
        on_cell(missing[0] if missing else starts[-1])
        return missing

    path = job.write(folder)
    if launch.dask_address is not None:
        with open_executor(1, launch.dask_address) as pool:
            for start in in_order(pool, partial(compute_block, kind=type(job), path=path), starts):
                on_cell(start)
    elif launch.processes:
        run_processes(job.worker, path, launch.processes, missing_blocks)
    else:
        _log.warning(
            "Waiting for other processes to do the blocks: torchrun -m %s %s", job.worker, path
        )
        while missing_blocks():
            time.sleep(_POLL_SECONDS)
    if missing := missing_blocks():
        raise UserError(
            "blocks-missing",
            found=f"{len(missing):,} of {len(starts):,} blocks are not in '{folder}'",
            expected="a folder that all machines can access",
            mend="write the output to a shared folder, and start again: finished blocks are kept",
        )
