"""Choose the fastest path of the scan on a GPU: measured once per class of shapes, cached on disk.

The plain `mamba_ssm` path is a candidate too, so the choice is never slower than that. Paths that fail, or
whose output differs from the blocked path's, are left out.
"""

import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from sc_mamba2.files import atomic_file
from sc_mamba2.ops.options import ScanPath

_log = logging.getLogger(__name__)

_WARM_UP, _REPEATS = 2, 5
# Tolerated difference from the blocked path, relative to its largest value: rounding only.
_TOLERANCE = {torch.float32: 1e-2, torch.bfloat16: 1e-1, torch.float16: 1e-1}

Run = Callable[[], Tensor]


class Work(NamedTuple):
    """A class of calls covered by one measurement; rows and tokens are rounded up to a power of two."""

    device: str
    dtype: torch.dtype
    rows: int
    length: int
    inner: int
    state: int
    head_dim: int
    training: bool

    def key(self) -> str:
        """Return the class's cache key, including the torch version."""
        rows, length = (1 << max(0, n - 1).bit_length() for n in (self.rows, self.length))
        shape = (
            f"{rows} rows of {length}, inner {self.inner}, state {self.state}, head {self.head_dim}"
        )
        what = "training" if self.training else "forward"
        kind = str(self.dtype).removeprefix("torch.")
        return f"{self.device}, torch {torch.__version__}, {kind}, {shape}, {what}"


def choices_file() -> Path:
    """Return the file of cached choices, in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "sc-mamba2" / "scan_paths.json"


def measured_choices() -> dict[str, dict[str, Any]]:
    """Return the measurements of this machine, by class: fastest path, milliseconds, paths left out."""
    try:
        found = json.loads(choices_file().read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: row for key, row in found.items() if isinstance(row, dict) and "path" in row}


def fastest(
    work: Work,
    judge: Run,
    candidates: Mapping[ScanPath, Run],
    milliseconds: Callable[[Run], float] | None = None,
) -> ScanPath:
    """Return the fastest candidate for a class of calls, from the cache or by measuring.

    Parameters
    ----------
    work
        The class.
    judge
        The blocked path, with the expected output; chosen if no candidate is correct.
    candidates
        Runs by name that should return the judge's output; in training they also compute gradients.
    milliseconds
        Times a run, by default with CUDA events.
    """
    key = work.key()
    if key in _KNOWN:
        return _KNOWN[key]
    row = measured_choices().get(key)
    if row is None or row["path"] not in {*candidates, "blocked"}:
        row = _measure(work, judge, candidates, milliseconds or _cuda_milliseconds)
        _remember(key, row)
    _log.info("scan path of %s: %s %s", key, row["path"], row.get("milliseconds", ""))
    _KNOWN[key] = cast("ScanPath", row["path"])
    return _KNOWN[key]


_KNOWN: dict[str, ScanPath] = {}


def _measure(
    work: Work, judge: Run, candidates: Mapping[ScanPath, Run], milliseconds: Callable[[Run], float]
) -> dict[str, Any]:
    expected, times, left_out = judge().detach().float(), {}, {}
    for name, run in candidates.items():
        try:
            apart = float((run().detach().float() - expected).abs().max() / expected.abs().max())
            if apart <= _TOLERANCE[work.dtype]:
                times[name] = milliseconds(run)
            else:
                left_out[name] = f"{apart:.2g} apart from the blocked path"
        except Exception as error:  # kernels fail in many ways: to compile, to launch, for memory
            left_out[name] = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    for name, reason in left_out.items():
        _log.warning("scan path %s is not used: %s", name, reason)
    path = min(times, key=lambda name: times[name]) if times else "blocked"
    return {"path": path, "milliseconds": times, "left_out": left_out}


def _cuda_milliseconds(run: Run) -> float:
    taken = []
    for turn in range(_WARM_UP + _REPEATS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        if turn >= _WARM_UP:
            taken.append(start.elapsed_time(end))
    return median(taken)


def _remember(key: str, row: dict[str, Any]) -> None:
    try:
        with atomic_file(choices_file()) as draft:
            draft.write_text(json.dumps({**measured_choices(), key: row}, indent=1) + "\n")
    except Exception as error:  # a home that cannot be written costs a measurement a run
        _log.info("the choice of the scan path could not be saved: %s", error)
