"""One seed for every source of chance, and deterministic kernels."""

import random

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
