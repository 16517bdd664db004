"""Records as a run would leave them, for the tests of what reads them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sc_mamba2.runs.fingerprints import code_facts
from sc_mamba2.runs.records import DataFact, RunRecord, record_folder, write_record
from sc_mamba2.runs.selection import Selection

FIRST = "2026-11-28T03.55.42.821Z"


def made(run_id: str = FIRST, **changes: Any) -> RunRecord:
    """Make a record of a run that finished."""
    plain: dict[str, Any] = {
        "run_id": run_id,
        "state": "finished",
        "started": datetime(2026, 11, 28, 3, 55, tzinfo=UTC),
        "seconds": 14.5,
        "selection": Selection(pipelines=("annotation",), env="test"),
        "parameters": {"annotation.fine_tune.max_epochs": 2, "compute.seed": 0, "input": "x.h5ad"},
        "defaults": {"annotation.fine_tune.max_epochs": 30},
        "data": {"reference.raw_cells": DataFact(sources=["x.h5ad"], sha256="ab" * 32)},
        "code": code_facts(),
        "scores": {"annotation": {"model.accuracy": 0.5, "model.macro_f1": 0.25}},
    }
    return RunRecord(**plain | changes)


def kept(project: Path, record: RunRecord, task: str = "annotation") -> Path:
    """Keep a record in a project; returns its folder."""
    folder = record_folder(project / "data", task, record.run_id)
    write_record(folder, record)
    return folder
