"""Peak memory of a call, above what the process held before (Linux; elsewhere it is not known)."""

import ctypes
import gc
import time
from collections.abc import Callable
from pathlib import Path


def extra_memory(call: Callable[[], object]) -> tuple[float, float]:
    """Run a call once; return the bytes that it needed at most, and its seconds."""
    gc.collect()
    known = True
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # what was freed but kept would hide what is needed
        Path("/proc/self/clear_refs").write_text("5")  # begins the peak anew
    except OSError:
        known = False
    before = _status("VmRSS")
    started = time.perf_counter()
    call()
    seconds = time.perf_counter() - started
    return max(0.0, _status("VmHWM") - before) if known else float("nan"), seconds


def _status(name: str) -> float:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(float(line.split()[1]) * 1024 for line in lines if line.startswith(name))
