"""The process and its machine: seeds and determinism, the device, memory, and stop signals."""

import random
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import nn

from sc_mamba2.errors import UserError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

# Sums depend on the number of threads, which other libraries (numba) change.
_threads = torch.get_num_threads()
_memory: Any = torch.utils.deterministic  # its setting is untyped


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch, fix the number of threads, and make torch use deterministic algorithms.

    The seed is at least 0 and below 2**32.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(_threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # New memory is always written before it is read: filling it would be wasted work.
    _memory.fill_uninitialized_memory = False


@contextmanager
def one_thread(wanted: bool = True) -> Iterator[None]:
    """Use one thread, if `wanted`, in torch and in the loaded BLAS, OpenMP and numba."""
    global _threads  # noqa: PLW0603  # `seed_everything` restores this number
    if not wanted:
        yield
        return
    before, now, numba = _threads, torch.get_num_threads(), sys.modules.get("numba")
    jitted = numba.get_num_threads() if numba else 1
    with _one_thread_of_libraries():
        try:
            _threads = 1
            torch.set_num_threads(1)
            if numba:
                numba.set_num_threads(1)
            yield
        finally:
            _threads = before
            torch.set_num_threads(now)
            if numba:
                numba.set_num_threads(jitted)


def _one_thread_of_libraries() -> AbstractContextManager[object]:
    try:
        from threadpoolctl import (
            threadpool_limits,  # a dependency of scikit-learn, missing on minimal machines
        )
    except ImportError:
        return nullcontext()
    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


@contextmanager
def restored_random_state() -> Iterator[None]:
    """Restore on exit the generators of Python, numpy and torch, and torch's threads and deterministic mode."""
    python, legacy = random.getstate(), np.random.get_state()
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = _memory.fill_uninitialized_memory
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(strict, warn_only=warned)
            _memory.fill_uninitialized_memory = filled


def choose_device(requested: str) -> torch.device:
    """Return the device for ``"auto"`` (a GPU if available), ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    UserError
        Rule `device-missing`: ``"cuda"`` without a GPU.
    """
    if requested == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if requested.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(
            "device-missing",
            found="no CUDA device on this machine",
            expected="a GPU that torch can use, since the device is set to cuda",
            mend="leave the device at auto, or set it to cpu; `scm doctor` shows what is missing",
        )
    return torch.device(requested)


def peak_bytes(device: torch.device) -> int:
    """Return the peak memory of this process, on the GPU if `device` is one; 0 if unknown (Windows)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if resource is None:
        return 0
    peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)


def state_bytes(model: nn.Module) -> int:
    """Return the bytes that training with AdamW needs permanently.

    These are the weights and, for trainable ones, a gradient and two moments of the same size.
    """
    return sum(
        weight.numel() * weight.element_size() * (4 if weight.requires_grad else 1)
        for weight in model.parameters()
    )


class Stop:
    """Whether the process was asked to stop, and by which signal."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._interrupted = False

    @property
    def requested(self) -> bool:
        """Whether the loop should write a checkpoint and stop."""
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """Exit code of the process: 143 after SIGTERM, 130 after SIGINT, else 0."""
        return 0 if self.signal is None else 128 + self.signal

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: record the first; raise `KeyboardInterrupt` at a second SIGINT."""
        if number == signal.SIGINT:
            if self._interrupted:
                raise KeyboardInterrupt
            self._interrupted = True
        self.signal = self.signal or signal.Signals(number)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Yield a `Stop` that SIGTERM and SIGINT set; on exit the previous handlers are restored.

    A second SIGINT raises `KeyboardInterrupt`. Outside the main thread, where Python cannot handle signals,
    it is never set.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {
        number: signal.signal(number, stop.receive) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            # None: the handler was not installed from Python, so Python cannot restore it.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
