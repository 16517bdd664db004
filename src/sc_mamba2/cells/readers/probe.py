"""Probe an HDF5 file in a child process: libhdf5 hangs on some damaged files, and crashes on others.

Neither can be stopped within the same process. The child is a fork, so a good file costs only
milliseconds; where forking is not safe (not Linux) the file is read without a probe.
"""

import os
import select
import signal
import sys
from pathlib import Path

import h5py

from sc_mamba2.cells.source_check import FORMATS
from sc_mamba2.errors import UserError

SILENT_SECONDS = 20  # without progress; a slow disk still makes some
_SMALL = 2**20  # bytes up to which an array is read whole


def probe_hdf5(path: Path) -> None:
    """Refuse a file that libhdf5 cannot read to the end (rule ``file-damaged``)."""
    if sys.platform != "linux" or not hasattr(os, "fork"):
        return
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _look(path, writing)
    os.close(writing)
    try:
        while responding := bool(select.select([reading], [], [], SILENT_SECONDS)[0]):
            if not os.read(reading, 4096):
                break
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)  # safe even after it has ended, until it is waited for
        _, status = os.waitpid(child, 0)
    fault = "" if responding else f"its HDF5 library hangs: no answer for {SILENT_SECONDS} seconds"
    if responding and os.WIFSIGNALED(status) and os.WTERMSIG(status) in _CRASHES:
        fault = f"its HDF5 library crashes: {signal.Signals(os.WTERMSIG(status)).name}"
    if fault:
        raise UserError(
            "file-damaged",
            found=f"'{path.name}' cannot be read ({fault})",
            expected=FORMATS,
            mend="copy or download it again",
        )


_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL) + (
    (signal.SIGBUS,) if hasattr(signal, "SIGBUS") else ()
)


def _look(path: Path, pipe: int) -> None:
    """Walk through the file, reporting each step, and exit; the parent finds any other errors itself."""
    try:
        for number in _CRASHES:  # no stack dump, such as pytest's
            signal.signal(number, signal.SIG_DFL)
        with h5py.File(path, "r") as file:
            _walk(file, pipe)
    except BaseException:
        os._exit(1)
    os._exit(0)


def _walk(group: h5py.Group, pipe: int) -> None:
    for name in group:
        os.write(pipe, b".")
        if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
            continue
        member = group[name]
        list(member.attrs.items())
        if isinstance(member, h5py.Group):
            _walk(member, pipe)
        elif not (member.external or member.is_virtual):
            member.id.get_storage_size()
            if member.nbytes <= _SMALL:
                member[()]
            else:
                member[(0,) * member.ndim]
