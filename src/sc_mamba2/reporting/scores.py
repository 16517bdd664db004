"""What every task's report shows alike: the table of scores, and the facts of the run."""

from typing import Any

from sc_mamba2.reporting.html import Section, Table, render_report

Scores = dict[str, float]
SET = "What this run was told, by name; what was not told is the default."
_ABLATION = "ablation: "


def scores_by_method(metrics: dict[str, Any]) -> dict[str, Scores]:
    """Return the scores of ``metrics.json`` by method: model, baselines, ablations."""
    rows = {"model": metrics["model"]}
    rows |= {f"baseline: {name}": scores for name, scores in metrics["baselines"].items()}
    return rows | {f"{_ABLATION}{name}": scores for name, scores in metrics["ablations"].items()}


def score_table(
    methods: dict[str, Scores], columns: list[str], caption: str, best_by: str | None = None
) -> Table:
    """Lay out scores, a method a row.

    Parameters
    ----------
    methods
        Scores by method; one that lacks a column shows a dash.
    columns
        Scores to show, in their order.
    caption
        Says what is compared and which way is better.
    best_by
        Score whose best row is marked, among the model and its baselines; ``None``: none. An
        ablation or a view of the model ("model: …") is a question to the model, not a rival of it.
    """
    rows = [
        [name, *(_shown(scores.get(column)) for column in columns)]
        for name, scores in methods.items()
    ]
    rivals = {
        name: scores[best_by]
        for name, scores in methods.items()
        if best_by in scores and not name.startswith((_ABLATION, "model: "))
    }
    best = frozenset(
        place
        for place, name in enumerate(methods)
        if name in rivals and rivals[name] == max(rivals.values())
    )
    return Table(["method", *(name.replace("_", " ") for name in columns)], rows, caption, best)


def comparison(own: float, other: float) -> str:
    """Say in words how the model's score stands to another."""
    return "is above" if own > other else "equals" if own == other else "is BELOW"


def task_report(
    title: str,
    lead: str,
    sections: list[Section],
    parameters: dict[str, Any],
    run: dict[str, Any],
) -> str:
    """Write a task's report as one HTML page, which ends with the parameters and the facts of the run.

    Parameters
    ----------
    title, lead
        The task, and one line on this run.
    sections
        What is particular to the task.
    parameters
        Flat parameters by dotted name.
    run
        Facts of the run, as in ``metrics.json``.
    """
    closing = [
        Section("Parameters", tables=[Table(["parameter", "value"], _rows(parameters), SET)]),
        Section("Run", tables=[Table([], _rows(run), "Who ran what, when, with which versions.")]),
    ]
    footer = f"sc-mamba2 {run.get('version', '')} · run {run.get('run_id', '')}"
    return render_report(title, lead, [*sections, *closing], footer)


def _shown(score: float | None) -> str:
    return "–" if score is None else f"{score:.3f}"


def _rows(values: dict[str, Any]) -> list[list[str]]:
    return [[str(name), str(value)] for name, value in values.items()]
