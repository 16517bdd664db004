"""The record of a run: a small JSON file with what ran, its data, code and results.

`hooks` writes it while Kedro runs; this module reads records and finds runs by id.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from sc_mamba2.errors import UserError, nearest
from sc_mamba2.files import atomic_file
from sc_mamba2.runs.configuration import read_globals
from sc_mamba2.runs.selection import Selection

RECORD, LOCK, FORMAT = "run.json", ".lock", 1
LATEST = "latest"
FOLDER_SUFFIX = ".scm"  # of the folder that a verb writes beside its output
_REPORTING, _RUNS = "08_reporting", "runs"
_MAX_BYTES = 10_000_000
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]*")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataFact(_Part):
    """An input of a run: its sources, and the hash of their content."""

    sources: list[str]
    sha256: str | None  # None: a simulation, or a missing file


class CodeFacts(_Part):
    """The code and the machine that ran."""

    version: str
    sha256: str
    commit: str | None
    changed: bool  # whether there were uncommitted changes
    python: str
    libraries: str
    threads: int
    machine: str

    def name(self) -> str:
        """Return a readable name of this code."""
        commit = f", commit {self.commit[:9]}" if self.commit else ""
        changed = " with changes" if self.changed else ""
        return f"{self.version}{commit}{changed} ({self.sha256[:8]})"


class RunRecord(_Part):
    """The record of a run.

    Parameters
    ----------
    command
        The command as typed, or else the equivalent `kedro run` line.
    parameters
        Every parameter that the pipeline read, by dotted name.
    defaults
        Defaults of the parameters that differ from them.
    scores
        Numbers of each task's ``metrics.json``, by dotted name.
    repeats
        The run that this one repeats.
    """

    format: Literal[1] = 1
    run_id: str
    state: Literal["running", "finished", "failed"]
    started: datetime
    seconds: float | None = None
    error: str | None = None
    selection: Selection
    command: str | None = None
    parameters: dict[str, Any]
    defaults: dict[str, Any]
    data: dict[str, DataFact]
    code: CodeFacts
    scores: dict[str, dict[str, float | None]] = {}
    repeats: str | None = None


class Listed(_Part):
    """A run of a project: its record, or why it cannot be read."""

    run_id: str
    task: str
    state: Literal["running", "finished", "failed", "interrupted", "damaged"]
    record: RunRecord | None = None
    reason: str | None = None


def record_folder(data: Path, task: str, run_id: str) -> Path:
    """Return the folder of a run's record, metrics and report, among the layers in `data`."""
    return data / _REPORTING / task / _RUNS / run_id


def kept_folder(project: Path, run_id: str) -> Path | None:
    """Return the folder of a run by its full id, of any task."""
    return next((path.parent for path in _records(project, run_id)), None)


def _records(project: Path, run_id: str) -> Iterator[Path]:
    """Yield the records in `data`, its subfolders, and the data folders of all environments."""
    conf, data = project / "conf", project / "data"
    places = {data, *data.glob("*/")}
    for env in conf.glob("*/"):
        values = read_globals(conf, env.name)
        if isinstance(values, dict) and isinstance(named := values.get("data"), str):
            places.add(project / named)
    for layers in sorted({place.resolve() for place in places}):
        yield from layers.glob(f"{_REPORTING}/*/{_RUNS}/{run_id}/{RECORD}")


def write_record(folder: Path, record: RunRecord) -> None:
    """Write a record atomically."""
    with atomic_file(folder / RECORD) as draft:
        draft.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_record(folder: Path) -> RunRecord:
    """Read the record of a folder.

    Raises
    ------
    UserError
        Rules ``run-unknown`` (no record) and ``run-damaged``.
    """
    path = folder / RECORD
    if not path.is_file():
        raise UserError(
            "run-unknown",
            found=f"no {RECORD} in '{folder}'",
            expected=f"a folder OUT{FOLDER_SUFFIX} written by a verb of this version",
            mend="give such a folder, or a run from `scm runs`",
        )
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise _damaged(folder.name, "it is too large for a record")
        return RunRecord.model_validate_json(path.read_bytes())
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"])) or RECORD
        raise _damaged(folder.name, f"{place}: {fault['msg']}") from error
    except OSError as error:
        raise _damaged(folder.name, str(error.strerror)) from error


def list_runs(project: Path) -> list[Listed]:
    """List the runs of a project, newest first; unreadable ones as damaged."""
    records = _records(project, "*")
    listed = [_read_listed(path.parent) for path in records if not path.parent.name.startswith(".")]
    return sorted(listed, key=lambda run: run.run_id, reverse=True)


def find_run(project: Path, name: str) -> RunRecord:
    """Find a run by its id, a unique prefix of it, or ``latest``: the newest finished run.

    Raises
    ------
    UserError
        Rules ``run-name``, ``run-unknown``, ``run-ambiguous`` and ``run-damaged``.
    """
    if not _ID.fullmatch(name):
        raise UserError(
            "run-name",
            found=f"'{name}', which is not the id of a run",
            expected=f"an id from `scm runs`, the beginning of one, or {LATEST}",
            mend="copy an id from `scm runs`",
        )
    runs = list_runs(project)
    if name == LATEST:
        candidates = [run for run in runs if run.state == "finished"][:1]
    else:
        exact = [run for run in runs if run.run_id == name]
        candidates = exact or [run for run in runs if run.run_id.startswith(name)]
    if not candidates:
        what = "finished run" if name == LATEST else f"run '{name}'"
        raise UserError(
            "run-unknown",
            found=f"no {what} among {len(runs)}",
            expected="a run of this project",
            mend="`scm runs` lists them" + ("" if name == LATEST else _nearest(name, runs)),
        )
    if len(candidates) > 1:
        raise UserError(
            "run-ambiguous",
            found=f"{len(candidates)} runs begin with '{name}'",
            expected="the beginning of only one",
            mend=f"give more characters: {', '.join(run.run_id for run in candidates[:3])}, …",
        )
    (run,) = candidates
    if run.record is None:
        raise _damaged(run.run_id, str(run.reason))
    return run.record


def _nearest(name: str, runs: list[Listed]) -> str:
    """Return a hint at the id whose beginning is closest to a name, or at ``latest``."""
    starts = {run.run_id[: len(name)]: run.run_id for run in reversed(runs)}
    hint = nearest(name, [LATEST, *starts])
    return next(
        (nearest(run, [run]) for start, run in starts.items() if f"'{start}'" in hint), hint
    )


def _read_listed(folder: Path) -> Listed:
    known: dict[str, Any] = {"run_id": folder.name, "task": folder.parents[1].name}
    try:
        record = read_record(folder)
        if record.run_id != folder.name:
            raise _damaged(folder.name, f"it is the record of '{record.run_id}'")
    except UserError as error:
        return Listed(**known, state="damaged", reason=error.found)
    interrupted = record.state == "running" and not _is_locked(folder / LOCK)
    state = "interrupted" if interrupted else record.state
    return Listed(**known, state=state, record=record)


def _is_locked(lock: Path) -> bool:
    """Whether a live process holds the lock."""
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except OSError:  # held, or of another user, who may be at work
        return True


def _damaged(name: str, reason: str) -> UserError:
    return UserError(
        "run-damaged",
        found=f"the record of '{name}' cannot be read: {reason}",
        expected=f"an unchanged {RECORD} of format {FORMAT}",
        mend="restore it, or remove the run's folder",
    )
