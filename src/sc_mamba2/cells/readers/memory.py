"""Check from its header whether a source fits into memory."""

import re
from pathlib import Path
from typing import Any

from sc_mamba2.errors import UserError

GIB = 2**30
_MEMINFO = Path("/proc/meminfo")  # Linux only; elsewhere nothing is refused
_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


def stored_bytes(group: Any) -> int:
    """Return the memory that all arrays of a group need; for text only the pointers."""
    if not hasattr(group, "keys"):
        return int(group.nbytes)
    return sum(stored_bytes(group[name]) for name in group)


def available_bytes() -> int | None:
    """Return the available memory of this machine or container; ``None`` if unknown."""
    free = [_number(_MEMINFO, r"MemAvailable:\s+(\d+) kB", 1024)]
    for limit, used in _LIMITS:
        most, taken = _number(Path(limit)), _number(Path(used))
        free += [None if most is None or taken is None else most - taken]
    known = [number for number in free if number is not None]
    return max(0, min(known)) if known else None


def check_memory(needed: int, path: Path) -> None:
    """Refuse to read more bytes than there is free memory (rule ``memory-short``)."""
    free = available_bytes()
    if free is not None and needed > free:
        raise UserError(
            "memory-short",
            found=f"{path.name} takes {needed / GIB:,.1f} GiB in memory, and {free / GIB:,.1f} GiB are free",
            expected="cells that fit into memory",
            mend="make the matrix sparse: adata.X = scipy.sparse.csr_matrix(adata.X); or use fewer cells or "
            "a larger machine; `scm embed` reads an .h5ad in blocks",
        )


def _number(path: Path, pattern: str = r"(\d+)", unit: int = 1) -> int | None:
    try:
        found = re.search(pattern, path.read_text(encoding="ascii"))
    except OSError:
        return None
    return int(found[1]) * unit if found else None
