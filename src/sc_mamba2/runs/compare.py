"""Differences between two runs: parameters, data, code, scores."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, computed_field

from sc_mamba2.runs.configuration import SOURCES
from sc_mamba2.runs.records import RunRecord
from sc_mamba2.runs.selection import PARTS


class Change(BaseModel):
    """A value that differs between two runs; ``None`` if one of them lacks it."""

    model_config = ConfigDict(frozen=True)

    name: str
    first: Any
    second: Any


class ScoreChange(Change):
    """A score that differs between two runs."""

    first: float | None
    second: float | None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def difference(self) -> float | None:
        """The second minus the first."""
        return None if self.first is None or self.second is None else self.second - self.first


Kind = TypeVar("Kind", bound=Change)


class Comparison(BaseModel):
    """The differences between two runs; `equal_scores` is the number of bitwise equal scores."""

    model_config = ConfigDict(frozen=True)

    first: str
    second: str
    parameters: list[Change]
    data: list[Change]
    code: list[Change]
    scores: list[ScoreChange]
    equal_scores: int

    def differing(self) -> list[str]:
        """Return the names of all differences."""
        changes = [*self.parameters, *self.data, *self.code, *self.scores]
        return [change.name for change in changes]


def compare_runs(first: RunRecord, second: RunRecord) -> Comparison:
    """Compare two runs; numbers are equal only if bitwise equal."""
    runs = (first, second)
    data = [{name: fact.model_dump() for name, fact in run.data.items()} for run in runs]
    of_data = {*SOURCES, *first.data, *second.data}
    same_code = first.code.sha256 == second.code.sha256
    one_task = len(first.scores.keys() | second.scores.keys()) == 1
    ours, theirs = (_scores(run, one_task) for run in runs)
    scores = _changes(ours, theirs, ScoreChange)
    return Comparison(
        first=first.run_id,
        second=second.run_id,
        parameters=_changes(*(_parameters(run, of_data) for run in runs)),
        data=_changes(*data, by=lambda fact: fact["sha256"] or fact["sources"]),
        code=_changes(*(_code(run, same_code) for run in runs)),
        scores=scores,
        equal_scores=len((ours.keys() & theirs.keys()) - {change.name for change in scores}),
    )


def _changes(
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    kind: type[Kind] = Change,  # type: ignore[assignment]
    by: Callable[[Any], Any] = lambda value: value,
) -> list[Kind]:
    """Return the values that differ by the key `by`, or that only one of the two has."""
    return [
        kind(name=name, first=first.get(name), second=second.get(name))
        for name in dict.fromkeys([*first, *second])
        if not (name in first and name in second and by(first[name]) == by(second[name]))
    ]


def _parameters(run: RunRecord, of_data: set[str]) -> dict[str, Any]:
    """Return pipeline, filters and parameters, without names of data, which is compared by content."""
    part = run.selection.model_dump(include=set(PARTS))
    return (
        {"pipeline": ", ".join(run.selection.pipelines)}
        | {name: list(value) for name, value in part.items() if value}
        | {name: value for name, value in run.parameters.items() if name not in of_data}
    )


def _code(run: RunRecord, same: bool) -> dict[str, Any]:
    """Return code and machine; different commits of the same code are equal."""
    libraries = (part.rpartition(" ") for part in run.code.libraries.split(", "))
    return (
        ({} if same else {"sc-mamba2": run.code.name()})
        | run.code.model_dump(include={"python", "threads", "machine"})
        | {name: version for name, _, version in libraries}
    )


def _scores(run: RunRecord, one_task: bool) -> dict[str, float | None]:
    """Return the scores by name, prefixed by the task if there are several tasks."""
    return {
        name if one_task else f"{task}.{name}": value
        for task, scores in run.scores.items()
        for name, value in scores.items()
    }
