"""The table of faults on the page of reliability, made from benchmarks/results/faults.json."""

import json
from pathlib import Path

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "faults.json"


def faults_table() -> str:
    """Write a row a test: where it is, what it tries, how often, and how often something was lost."""
    if not RESULTS.is_file():
        return "Nothing was measured yet: `make test-faults`."
    found = json.loads(RESULTS.read_text("utf-8"))
    lines = ["| what is done | tries | lost | test |", "|---|---|---|---|"]
    for name, row in found["rows"].items():
        file, _, test = name.partition("::")
        words = test.removeprefix("test_").replace("_", " ")
        lines.append(f"| {words} | {row['tries']:,} | {row['failed']:,} | `{file}` |")
    total = sum(row["tries"] for row in found["rows"].values())
    lost = sum(row["failed"] for row in found["rows"].values())
    return "\n".join([*lines, f"| together | {total:,} | {lost:,} | {found['machine']} |"])
