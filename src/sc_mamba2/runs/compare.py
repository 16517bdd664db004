"""What differs between two runs: parameters, data, code, scores."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from sc_mamba2.runs.configuration import SOURCES
from sc_mamba2.runs.records import RunRecord

_MACHINE = ("python", "threads", "machine")


class Change(BaseModel):
    """Something that is not the same in two runs; ``None`` where one of them lacks it."""

    model_config = ConfigDict(frozen=True)

    name: str
    first: Any
    second: Any


class ScoreChange(Change):
    """A score that is not the same; `difference` is the second less the first."""

    first: float | None
    second: float | None
    difference: float | None


class Comparison(BaseModel):
    """What differs between two runs.

    Parameters
    ----------
    equal_scores
        How many scores both have, to the last bit.
    """

    model_config = ConfigDict(frozen=True)

    first: str
    second: str
    parameters: list[Change]
    data: list[Change]
    code: list[Change]
    scores: list[ScoreChange]
    equal_scores: int

    def differing(self) -> list[str]:
        """Return the names of all that differs."""
        changes = [*self.parameters, *self.data, *self.code, *self.scores]
        return [change.name for change in changes]


def compare_runs(first: RunRecord, second: RunRecord) -> Comparison:
    """Compare two runs; equal numbers are equal to the last bit."""
    scores = _scores(first, second)
    differing = _differing(*scores)
    return Comparison(
        first=first.run_id,
        second=second.run_id,
        parameters=_changes(_parameters(first, second), _parameters(second, first)),
        data=_data(first, second),
        code=_code(first, second),
        scores=[
            _score_change(name, scores[0].get(name), scores[1].get(name)) for name in differing
        ],
        equal_scores=len(scores[0].keys() & scores[1].keys() - set(differing)),
    )


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    missing = object()
    names = list(dict.fromkeys([*first, *second]))
    return [name for name in names if first.get(name, missing) != second.get(name, missing)]


def _changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Change]:
    return [
        Change(name=name, first=first.get(name), second=second.get(name))
        for name in _differing(first, second)
    ]


def _score_change(name: str, first: float | None, second: float | None) -> ScoreChange:
    both = first is not None and second is not None
    difference = second - first if both else None
    return ScoreChange(name=name, first=first, second=second, difference=difference)


def _parameters(run: RunRecord, other: RunRecord) -> dict[str, Any]:
    """Return what was set, without what names data: that is compared by its content."""
    data = {*SOURCES, *run.data, *other.data}
    chosen = {name: value for name, value in run.parameters.items() if name not in data}
    part = run.selection.model_dump(
        include={
            "node_names",
            "tags",
            "namespaces",
            "from_nodes",
            "to_nodes",
            "from_inputs",
            "to_outputs",
        }
    )
    selected = {name: list(value) for name, value in part.items() if value}
    return {"pipeline": ", ".join(run.selection.pipelines), **selected, **chosen}


def _data(first: RunRecord, second: RunRecord) -> list[Change]:
    """List what was read and differs: by its hash, and by its name where there is none."""

    def content(run: RunRecord) -> dict[str, Any]:
        return {name: fact.sha256 or fact.sources for name, fact in run.data.items()}

    def shown(run: RunRecord, name: str) -> dict[str, Any] | None:
        return run.data[name].model_dump() if name in run.data else None

    return [
        Change(name=name, first=shown(first, name), second=shown(second, name))
        for name in _differing(content(first), content(second))
    ]


def _code(first: RunRecord, second: RunRecord) -> list[Change]:
    """List the code and what it ran on, where they differ; commits of the same code do not count."""
    same = first.code.sha256 == second.code.sha256

    def facts(run: RunRecord) -> dict[str, Any]:
        libraries = (part.rpartition(" ") for part in run.code.libraries.split(", "))
        return (
            ({} if same else {"sc-mamba2": run.code.name()})
            | {name: getattr(run.code, name) for name in _MACHINE}
            | {name: version for name, _, version in libraries}
        )

    return _changes(facts(first), facts(second))


def _scores(
    first: RunRecord, second: RunRecord
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """Return the scores of both by name; the task stands before it only where there are several."""
    alone = len(first.scores.keys() | second.scores.keys()) == 1

    def flat(run: RunRecord) -> dict[str, float | None]:
        return {
            name if alone else f"{task}.{name}": value
            for task, scores in run.scores.items()
            for name, value in scores.items()
        }

    return flat(first), flat(second)
