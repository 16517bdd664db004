"""Dry runs: run the pipeline in memory up to its first long work, and probe that work instead."""

from collections.abc import Callable
from inspect import signature
from typing import TYPE_CHECKING, Any

from kedro.io import CatalogProtocol, MemoryDataset
from kedro.pipeline import Pipeline, node
from kedro.pipeline.node import Node
from kedro.runner import SequentialRunner

from sc_mamba2.runs.dry_run import DryRun

if TYPE_CHECKING:
    from sc_mamba2.tasks.shared.work import Work
    from sc_mamba2.tokens import TokenizedCells

WORK, GATHERED = "dry_run.work", "dry_run.gathered"
_REPORTS = ("validation_report", "reading_report")
_ENDS = {"evaluation", "reporting"}


class DryRunner(SequentialRunner):
    """Runs the nodes before a pipeline's first long work and probes that work; saves nothing."""

    def __init__(self, estimate: DryRun) -> None:
        super().__init__()
        self.estimate = estimate

    def run(self, pipeline: Pipeline, catalog: CatalogProtocol, *_: Any, **__: Any) -> Any:
        """Run a part of `pipeline` in memory; the results go to `estimate`."""
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
        part += Pipeline([_gathering(before, predictions)])
        for name in part.all_outputs():
            if not isinstance(catalog.get(name), MemoryDataset):
                catalog[name] = MemoryDataset(copy_mode="assign")
        results = super().run(part, catalog)
        reports, tokens = results[GATHERED].load()
        # `reference.validation_report` is the report of `reference`.
        self.estimate.reports = {name.split(".")[0]: report for name, report in reports.items()}
        if first is not None:
            self._note(results[WORK].load(), tokens)
        for name in pipeline.inputs():
            if name.endswith(".ablations"):
                self.estimate.ablations = list(catalog.load(name).names)
        timed = {first, *before.nodes, *(one for one in predictions if tokens.keys() & one.inputs)}
        untimed = [one.name for one in pipeline.nodes if one not in timed]
        self.estimate.untimed = [name.rpartition(".")[2] for name in untimed]
        return {}

    def _note(self, work: "Work", tokens: "dict[str, TokenizedCells]") -> None:
        from sc_mamba2.tasks.shared.work import count_tokens

        self.estimate.work = work
        self.estimate.reports |= work.reports
        self.estimate.writes.extend(work.writes)
        limit = next((count.limit for count in work.tokens.values()), 0)
        self.estimate.later = {}
        for name, cells in tokens.items():
            # `annotation.query_tokens` are those of `query`.
            role = name.rpartition(".")[2].removesuffix("tokens").rstrip("_") or "prediction"
            self.estimate.later[role] = count_tokens(cells.lengths, limit)


def _before(pipeline: Pipeline, long: list[Node]) -> Pipeline:
    """Return the nodes that the long nodes need and that do not depend on one of them.

    Without long nodes, return all except evaluation and reporting.
    """
    if long:
        names = [one.name for one in long]
        return pipeline.to_nodes(*names) - pipeline.from_nodes(*names)
    ends = [one.name for one in pipeline.nodes if one.tags & _ENDS]
    return pipeline - pipeline.from_nodes(*ends) if ends else pipeline


def _probing(long: Node, probe: Callable[..., Any]) -> Node:
    """Return a node that runs the probe of a long node on the inputs that the probe takes."""
    inputs = dict(zip(signature(long.func).parameters, long.inputs, strict=False))
    named = {name: inputs[name] for name in signature(probe).parameters}
    return node(probe, named, WORK, name="dry_run.probe")


def _gathering(before: Pipeline, predictions: list[Node]) -> Node:
    """Return a node that gathers the reports, and the tokens of cells to predict later."""
    predicted = {name for one in predictions for name in one.inputs}
    made = before.all_outputs()
    names = sorted(name for name in made if name.endswith(_REPORTS) or name in predicted)

    def gather(*values: Any) -> "tuple[dict[str, Any], dict[str, TokenizedCells]]":
        from sc_mamba2.tokens import TokenizedCells

        by_name = dict(zip(names, values, strict=True))
        tokens = {name: it for name, it in by_name.items() if isinstance(it, TokenizedCells)}
        return {name: by_name[name] for name in names if name.endswith(_REPORTS)}, tokens

    return node(gather, names, GATHERED, name="dry_run.gather")
