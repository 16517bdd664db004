"""Dry runs: the pipeline itself up to its first long work, in memory, and a probe in that work's place.

While one is under way (`dry_run`), every run of this process is dry: nothing is written.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import CatalogProtocol, MemoryDataset
from kedro.pipeline import Pipeline, node
from kedro.pipeline.node import Node
from kedro.runner import SequentialRunner

if TYPE_CHECKING:
    from sc_mamba2.tasks.shared.work import TokenCount, Work
    from sc_mamba2.tokens import TokenizedCells

WORK, SEEN = "dry_run.work", "dry_run.seen"
_REPORTS = ("validation_report", "reading_report")
_ENDS = {"evaluation", "reporting"}


@dataclass
class DryRun:
    """What a dry run found out.

    Attributes
    ----------
    work
        The first long work; None where there is none.
    reports
        What was matched and dropped, by the role of the cells.
    later
        Tokens of cells that are predicted after a training.
    ablations
        Variants that are trained after the model, each about as long as the model.
    untimed
        Nodes that come after, and are in no time here.
    writes
        What the run itself would write.
    """

    work: "Work | None" = None
    reports: dict[str, Any] = field(default_factory=dict)
    later: "dict[str, TokenCount]" = field(default_factory=dict)
    ablations: list[str] = field(default_factory=list)
    untimed: list[str] = field(default_factory=list)
    writes: list[Path] = field(default_factory=list)

    @property
    def seconds(self) -> float | None:
        """Return the time of the long work and of the predictions after it."""
        if self.work is None or self.work.seconds is None:
            return None
        if self.work.tokens_a_second is None:
            return self.work.seconds
        tokens = sum(count.tokens for count in self.later.values())
        return self.work.seconds + tokens / self.work.tokens_a_second

    def as_json(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        found = asdict(self) | {"seconds": self.seconds}
        found["writes"] = [str(path) for path in self.writes]
        if self.work is not None:
            found["work"].pop("writes")
            found["work"].pop("reports")
        return {"dry_run": True} | found


_now: ContextVar[DryRun | None] = ContextVar("dry_run", default=None)


@contextmanager
def dry_run() -> Iterator[DryRun]:
    """Make every run dry for as long as the block lasts; give what is found out."""
    found = DryRun()
    token = _now.set(found)
    try:
        yield found
    finally:
        _now.reset(token)


def dry() -> DryRun | None:
    """Return the dry run that is under way, or None where runs are real."""
    return _now.get()


class DryRunner(SequentialRunner):
    """Runs what comes before a pipeline's first long work and probes that work; saves nothing."""

    def __init__(self, found: DryRun) -> None:
        super().__init__()
        self.found = found

    def run(self, pipeline: Pipeline, catalog: CatalogProtocol, *_: Any, **__: Any) -> Any:
        """Run a part of `pipeline` in memory; the results go to `found`."""
        from sc_mamba2.runs.probes import FORWARD, LONG, PROBES  # loads every task

        long = [one for one in pipeline.nodes if one.func in LONG]
        first = next((one for one in long if one.func in PROBES), None)
        before = _before(pipeline, long)
        predictions: list[Node] = []
        part = before
        if first is not None:
            after = pipeline.from_nodes(first.name).nodes
            predictions = [one for one in after if one.func in FORWARD and one != first]
            part += Pipeline([_probing(first, PROBES[first.func])])
        part += Pipeline([_looking(before, predictions)])
        for name in part.all_outputs():
            if not isinstance(catalog.get(name), MemoryDataset):
                catalog[name] = MemoryDataset(copy_mode="assign")
        seen = super().run(part, catalog)
        found, reports, tokens = self.found, *seen[SEEN].load()
        found.reports = {_first(name): report for name, report in reports.items()}
        if first is not None:
            self._note(seen[WORK].load(), tokens)
        for name in pipeline.inputs():
            if name.endswith(".ablations"):
                found.ablations = list(catalog.load(name).names)
        timed = {first, *before.nodes, *(one for one in predictions if tokens.keys() & one.inputs)}
        found.untimed = [_last(one.name) for one in pipeline.nodes if one not in timed]
        return {}

    def _note(self, work: "Work", tokens: "dict[str, TokenizedCells]") -> None:
        from sc_mamba2.tasks.shared.work import count_tokens

        self.found.work = work
        self.found.reports |= work.reports
        self.found.writes.extend(work.writes)
        limit = next((count.limit for count in work.tokens.values()), 0)
        self.found.later = {
            _whose(name): count_tokens(it.lengths, limit) for name, it in tokens.items()
        }


def _before(pipeline: Pipeline, long: list[Node]) -> Pipeline:
    """Return what the long nodes need and does not itself need one of them.

    Where there is none, all but what is scored and shown at the end.
    """
    if long:
        return pipeline.to_nodes(*_names(long)) - pipeline.from_nodes(*_names(long))
    ends = [one for one in pipeline.nodes if one.tags & _ENDS]
    return pipeline - pipeline.from_nodes(*_names(ends)) if ends else pipeline


def _probing(long: Node, probe: Callable[..., Any]) -> Node:
    """Return a node that probes a long one by those of its inputs that the probe asks for by name."""
    inputs = long._inputs
    if isinstance(inputs, dict):
        asked = signature(probe).parameters
        inputs = {name: source for name, source in inputs.items() if name in asked}
    return node(probe, inputs, WORK, name="dry_run.probe")


def _looking(before: Pipeline, predictions: list[Node]) -> Node:
    """Return a node that gathers the reports, and the tokens of cells that will be predicted."""
    made = before.all_outputs()
    predicted = {name for one in predictions for name in one.inputs}
    names = sorted(name for name in made if name.endswith(_REPORTS) or name in predicted)

    def gather(*seen: Any) -> "tuple[dict[str, Any], dict[str, TokenizedCells]]":
        from sc_mamba2.tokens import TokenizedCells

        by_name = dict(zip(names, seen, strict=True))
        tokens = {name: it for name, it in by_name.items() if isinstance(it, TokenizedCells)}
        return {name: by_name[name] for name in names if name.endswith(_REPORTS)}, tokens

    return node(gather, names, SEEN, name="dry_run.look")


def _names(nodes: list[Node]) -> list[str]:
    return [one.name for one in nodes]


def _first(name: str) -> str:
    """Return whose report a dataset is: ``reference.validation_report`` is that of `reference`."""
    return name.partition(".")[0]


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _whose(tokens: str) -> str:
    """Return whose tokens a dataset holds: ``annotation.query_tokens`` are those of `query`."""
    return _last(tokens).removesuffix("tokens").rstrip("_") or "prediction"
