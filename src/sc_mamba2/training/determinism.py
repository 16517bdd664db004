"""One seed for every source of chance, and deterministic kernels; and all of it as it was before."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from sc_mamba2.errors import UserError

# Sums depend on how many threads share them, and other libraries (numba) change that number.
_THREADS = torch.get_num_threads()


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch, fix the threads, and ask torch for deterministic algorithms.

    Parameters
    ----------
    seed
        Not negative, below 2**32.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(_THREADS)
    torch.use_deterministic_algorithms(True, warn_only=True)


@contextmanager
def chance_as_found() -> Iterator[None]:
    """Leave the generators of Python, numpy and torch, torch's threads and its mode as they were."""
    python, legacy = random.getstate(), np.random.get_state()
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(strict, warn_only=warned)


def choose_device(requested: str) -> torch.device:
    """Return the device for ``"auto"`` (a GPU where there is one), ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    UserError
        ``"cuda"`` where there is no GPU.
    """
    if requested == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if requested.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(
            "device-missing",
            found="no CUDA device on this machine",
            expected="a GPU that torch can use, since the device is set to cuda",
            mend="leave the device at auto, or set it to cpu; `scm doctor` tells what is missing",
        )
    return torch.device(requested)
