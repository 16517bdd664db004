"""What a full run of the faults came to: tries and losses by test, in benchmarks/results/faults.json."""

import json
import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.properties import IN_FULL

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "faults.json"
COUNTED = (
    "tests/faults/",
    "tests/bad_inputs/",
    "tests/security/",
    "tests/ops/test_kernels.py",
    "tests/training/test_launch.py",
    "tests/tasks/annotation/test_shared_query.py",
)


def write_results(stats: Mapping[str, Iterable[Any]]) -> None:
    """Write a row a test function; a full run of some of them changes their rows alone."""
    rows: dict[str, dict[str, int]] = {}
    for outcome in ("passed", "failed"):
        for report in stats.get(outcome, ()):
            promise = "promised" in report.keywords
            if report.when != "call" or not (promise or report.nodeid.startswith(COUNTED)):
                continue
            name = report.nodeid.partition("[")[0]
            row = rows.setdefault(name, {"tries": 0, "tests": 0, "failed": 0})
            noted = [int(value) for key, value in report.user_properties if key == "tries"]
            row["tries"] += sum(noted) or (IN_FULL if promise else 1)
            row["tests"] += 1
            row["failed"] += outcome == "failed"
    if rows:
        known = json.loads(RESULTS.read_text("utf-8"))["rows"] if RESULTS.is_file() else {}
        machine = f"{platform.machine()} {platform.system()}, {os.cpu_count()} cores"
        written = {"machine": machine, "rows": dict(sorted((known | rows).items()))}
        RESULTS.write_text(json.dumps(written, indent=1) + "\n", "utf-8")
