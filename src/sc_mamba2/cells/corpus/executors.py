"""Executors for files or blocks of cells: this process, processes on this machine, or a Dask cluster."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

from sc_mamba2.errors import UserError

CONNECT_SECONDS = 20


@contextmanager
def open_executor(workers: int, dask_address: str | None = None) -> Iterator[Executor]:
    """Provide an executor with that many processes, or with the workers of a Dask scheduler.

    With one process, work runs in this one. Rules ``dask-missing``, ``dask-unreachable``.
    """
    if dask_address is not None:
        with _dask_client(dask_address) as client:
            yield client.get_executor(pure=False)
    elif workers == 1:
        with ThreadPoolExecutor(1) as pool:
            yield pool
    else:
        # Spawned: forking a process with open HDF5 files or threads may hang.
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            yield pool


def in_order(pool: Executor, work: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
    """Yield the results in the order of the tasks; stopping early cancels the rest.

    Rule ``worker-died``.
    """
    with closing(pool.map(work, tasks)) as results:
        try:
            yield from results
        except Exception as error:
            # Dask's error class cannot be named here, since Dask may not be installed.
            if not isinstance(error, BrokenExecutor) and type(error).__name__ != "KilledWorker":
                raise
            raise UserError(
                "worker-died",
                found="a process that read a file was killed",
                expected="enough memory for one block of cells per worker, and undamaged files",
                mend="use fewer workers or smaller blocks; a single worker shows which file causes it",
            ) from error


def _dask_client(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise UserError(
            "dask-missing",
            found="the package distributed is not installed",
            expected="the package, to use a Dask cluster",
            mend="pip install 'sc-mamba2[distributed]', or omit the address",
        ) from error
    try:
        return Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise UserError(
            "dask-unreachable",
            found=f"no scheduler answers at '{address}' ({str(error)[:120]})",
            expected="the address of a Dask scheduler, such as tcp://127.0.0.1:8786",
            mend="start one with `dask scheduler`, or omit the address",
        ) from error
