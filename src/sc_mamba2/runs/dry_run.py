"""Dry runs: the pipeline itself up to its first long work, in memory, and a probe in that work's place.

While one is under way (`dry_run`), every run of this process is dry: nothing is written.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol, MemoryDataset
from kedro.pipeline import Pipeline, node
from kedro.pipeline.node import Node
from kedro.runner import SequentialRunner

from sc_mamba2.pipelines.probes import LONG, PROBES
from sc_mamba2.pipelines.work import TokenCount, Work, count_tokens
from sc_mamba2.tokens import TokenizedCells

WORK, SEEN = "dry_run.work", "dry_run.seen"
_REPORTS = ("validation_report", "reading_report")


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

    work: Work | None = None
    reports: dict[str, Any] = field(default_factory=dict)
    later: dict[str, TokenCount] = field(default_factory=dict)
    ablations: list[str] = field(default_factory=list)
    untimed: list[str] = field(default_factory=list)
    writes: list[Path] = field(default_factory=list)

    @property
    def seconds(self) -> float | None:
        """Return the time of the long work and of the predictions after it."""
        if self.work is None or self.work.seconds is None:
            return None
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
    token = _now.set(DryRun())
    try:
        found = _now.get()
        assert found is not None
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
        long = [one for one in pipeline.nodes if one.func in LONG]
        before = _before(pipeline, long)
        first = next((one for one in long if one.func in PROBES), None)
        part = before
        if first is not None:
            part += Pipeline([_probing(first, before), _looking(before, long)])
        for name in part.all_outputs():
            if not isinstance(catalog.get(name), MemoryDataset):
                catalog[name] = MemoryDataset(copy_mode="assign")
        outputs = super().run(part, catalog)
        self.found.untimed = [
            one.name.rpartition(".")[2]
            for one in pipeline.nodes
            if one not in {*before.nodes, *long}
        ]
        if first is not None:
            self._note(outputs[WORK].load(), outputs[SEEN].load(), _inputs(first))
            for name in pipeline.inputs():
                if name.endswith(".ablations"):
                    self.found.ablations = list(catalog.load(name).names)
        return {}

    def _note(self, work: Work, seen: dict[str, Any], read: set[str]) -> None:
        reports = {_role(name): it for name, it in seen.items() if isinstance(it, dict)}
        self.found.work, self.found.reports = work, reports | work.reports
        limit = next((count.limit for count in work.tokens.values()), 0)
        self.found.later = {
            _whose(name): count_tokens(it.lengths, limit)
            for name, it in seen.items()
            if isinstance(it, TokenizedCells) and name not in read
        }
        self.found.writes.extend(work.writes)


def _before(pipeline: Pipeline, long: list[Node]) -> Pipeline:
    """Return what the long nodes need and does not itself need one of them; without any, nothing."""
    if not long:
        return Pipeline([])
    names = [one.name for one in long]
    return pipeline.to_nodes(*names) - pipeline.from_nodes(*names)


def _probing(long: Node, before: Pipeline) -> Node:
    """Return a node that probes a long one by the same inputs, less what another long one makes."""
    inputs = long._inputs
    if isinstance(inputs, dict):
        made = before.datasets()
        inputs = {
            name: source
            for name, source in inputs.items()
            if source in made or source.startswith("params:")
        }
    return node(PROBES[long.func], inputs, WORK, name="dry_run.probe")


def _looking(before: Pipeline, long: list[Node]) -> Node:
    """Return a node that gathers the reports, and what the long nodes read."""
    made = before.all_outputs()
    names = sorted(name for name in made if name.endswith(_REPORTS))
    names += sorted({name for one in long for name in _inputs(one)} & made)

    def gather(*seen: Any) -> dict[str, Any]:
        return dict(zip(names, seen, strict=True))

    return node(gather, names, SEEN, name="dry_run.look")


def _inputs(one: Node) -> set[str]:
    return set(one.inputs)


def _whose(tokens: str) -> str:
    """Return whose tokens a dataset holds: ``annotation.query_tokens`` are those of `query`."""
    return tokens.rpartition(".")[2].removesuffix("tokens").rstrip("_") or "prediction"


def _role(report: str) -> str:
    """Return whose report a dataset is: ``reference.validation_report`` is that of `reference`."""
    return report.split(".", maxsplit=1)[0]
