"""CPU seconds and peak memory of slips, and of the lists that need no model.

    OMP_NUM_THREADS=1 python benchmarks/slips.py [--source src] [--before OTHER/src] [--repeats 3]

Each is a process of its own, `python -m sc_mamba2 …`, in a project of `scm init` with a file of simulated
cells. CPU is user and system time, the least of the repeats; memory is the largest resident set. Writes
`results/slips.json` and a Markdown table. A slip that is not refused with exit code 2 is an error.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import describe_machine

RESULTS = Path(__file__).parent / "results"
REFERENCE = ("-r", "ref.h5ad", "-k", "cell_type")
SLIPS = {
    "no --reference, no --checkpoint": ("annotate", "ref.h5ad", "-o", "o.h5ad"),
    "--checkpoint with --reference": (
        *("annotate", "ref.h5ad", *REFERENCE, "-c", "ref.h5ad"),
        *("-o", "o.h5ad"),
    ),
    "no such verb": ("anotate", "ref.h5ad"),
    "output of another suffix": ("annotate", "ref.h5ad", *REFERENCE, "-o", "o.csv"),
    "output that is there": ("embed", "ref.h5ad", "-o", "there.h5ad"),
    "input of another format": ("embed", "README.md", "-o", "o.h5ad"),
    "no such file": ("annotate", "rf.h5ad", *REFERENCE, "-o", "o.h5ad"),
    "no such column": (*("annotate", "ref.h5ad", "-r", "ref.h5ad", "-k", "type"), "-o", "o.h5ad"),
    "no such column (batch)": ("integrate", "ref.h5ad", "-b", "donor", "-o", "o.h5ad"),
    "no such layer": ("embed", "ref.h5ad", "--layer", "counts", "-o", "o.h5ad"),
    "no such --start": (
        *("annotate", "ref.h5ad", *REFERENCE, "--start", "scm-tinny"),
        *("-o", "o.h5ad"),
    ),
    "no such --checkpoint": ("embed", "ref.h5ad", "-c", "scm-tinny", "-o", "o.h5ad"),
    "no such parameter": (
        *("embed", "ref.h5ad", "-o", "o.h5ad"),
        *("--params", "embedding.options.batchsize=2"),
    ),
    "value of another type": (
        *("embed", "ref.h5ad", "-o", "o.h5ad"),
        *("--params", "embedding.options.batch_size=two"),
    ),
    "scm run: no such pipeline": ("run", "-p", "anotation"),
    "scm run: no such environment": ("run", "-p", "annotation", "-e", "tset"),
    "scm run: no such column": (
        *("run", "-p", "annotation", "-i", "ref.h5ad"),
        *("--params", "annotation.labels.key=type"),
    ),
    "scm pretrain: no such preset": ("pretrain", "ref.h5ad", "--preset", "tinny"),
    "scm validate: no such column": ("validate", "ref.h5ad", "-k", "type"),
    "scm data pull: no such name": ("data", "pull", "kng"),
}
MAKE_CELLS = """
import pathlib, sys
from sc_mamba2.cells import simulate_cells
for name in ("ref.h5ad", "there.h5ad"):
    simulate_cells(cells=60).write_h5ad(pathlib.Path(sys.argv[1]) / name)
"""
LISTS = {" ".join(words): words for words in (("runs",), ("model", "list"), ("data", "list"))}


def measure(words: tuple[str, ...], code: int, source: Path, folder: Path) -> tuple[float, float]:
    """Return CPU seconds and peak MiB of one call, which has to end with a code."""
    env = {**os.environ, "PYTHONPATH": str(source.resolve())}
    command = [sys.executable, "-m", "sc_mamba2", *words]
    child = subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == code, f"scm {' '.join(words)} ended with {child.returncode}"
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**10


def rows(source: Path, folder: Path, repeats: int) -> dict[str, dict[str, float]]:
    """Measure every slip and every list."""
    found = {}
    for code, calls in ((2, SLIPS), (0, LISTS)):
        for name, words in calls.items():
            taken = [measure(words, code, source, folder) for _ in range(repeats)]
            seconds, memory = (min(one[at] for one in taken) for at in (0, 1))
            found[name] = {"cpu_seconds": round(seconds, 2), "peak_mib": round(memory)}
    return found


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=Path(__file__).parents[1] / "src")
    parser.add_argument("--before", type=Path, help="another source, measured beside it")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "project"
        measure(("init", str(folder)), 0, options.source, Path(place))
        # In a process of its own: what this one holds would count as a child's peak.
        subprocess.run([sys.executable, "-c", MAKE_CELLS, folder], check=True)
        sources = {"before": options.before, "now": options.source}
        found = {
            name: rows(source, folder, options.repeats)
            for name, source in sources.items()
            if source
        }
    heads = [f"{name}: {unit}" for name in found for unit in ("CPU s", "MiB")]
    lines = [f"| {' | '.join(['call', *heads])} |", "|---" * (1 + len(heads)) + "|"]
    for name in (*SLIPS, *LISTS):
        numbers = [f"{value:g}" for one in found.values() for value in one[name].values()]
        lines.append(f"| {' | '.join([name, *numbers])} |")
    RESULTS.mkdir(exist_ok=True)
    kept = {"machine": describe_machine(), "rows": found}
    (RESULTS / "slips.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
