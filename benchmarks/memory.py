"""Peak memory of a call, above what the process held before, and of a process with its children.

Linux; elsewhere it is not known.
"""

import contextlib
import ctypes
import gc
import subprocess
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


def peak_of_tree(process: subprocess.Popen[str], every_s: float = 0.1) -> tuple[float, float]:
    """Wait for a process; return the bytes that it and its children held at most, together.

    First all resident pages, those of mapped files too and shared ones once a process; then only
    those that are no file's.
    """
    resident = own = 0.0
    while process.poll() is None:
        tree = _tree(process.pid)
        together = sum(_status("VmRSS", one) for one in tree)
        # The system keeps the peak of each process: between two looks none of them is missed.
        resident = max(resident, together, *(_status("VmHWM", one) for one in tree))
        own = max(own, sum(_status("RssAnon", one) for one in tree))
        time.sleep(every_s)
    return resident, own


def _tree(process: int) -> list[int]:
    found = [process]
    for one in found:  # grows while it is walked
        for listed in Path(f"/proc/{one}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += map(int, listed.read_text().split())
    return found


def _status(name: str, process: int | str = "self") -> float:
    """Read a size in bytes; nan where nothing tells it, 0 for another process that has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return float("nan") if process == "self" else 0.0
    held = (line.split()[1] for line in lines if line.startswith(name))
    return float(next(held, 0)) * 1024
