"""Sections shared by the reports of the tasks: scores, figures, input, output, parameters, the run."""

from collections.abc import Iterable, Sequence
from typing import Any

from sc_mamba2.reporting.cell_map import CellMap
from sc_mamba2.reporting.html import Section, Table, render_report
from sc_mamba2.reporting.pictures import Picture

Scores = dict[str, float]
_ALWAYS = ("total", "matched", "kept")  # of the other counts of genes, zero is no news
SET = "What this run was given, by name; anything else has its default."
_ABLATION = "ablation: "


def scores_by_method(metrics: dict[str, Any]) -> dict[str, Scores]:
    """Return the scores of ``metrics.json`` by method: model, baselines, ablations."""
    rows = {"model": metrics["model"]}
    rows |= {f"baseline: {name}": scores for name, scores in metrics["baselines"].items()}
    return rows | {f"{_ABLATION}{name}": scores for name, scores in metrics["ablations"].items()}


def score_table(
    methods: dict[str, Scores], columns: list[str], caption: str, best_by: str | None = None
) -> Table:
    """Return a table of scores, one row per method.

    Parameters
    ----------
    methods
        Scores by method; missing ones are shown as a dash.
    columns
        Scores to show, in order.
    caption
        Says what is compared and which direction is better.
    best_by
        Score whose best row is marked, among the model and its baselines; ``None``: none. Ablations and
        views of the model ("model: …") do not compete.
    """
    rows = [
        [name, *(shown_score(scores.get(column)) for column in columns)]
        for name, scores in methods.items()
    ]
    rivals = {
        place: scores[best_by]
        for place, (name, scores) in enumerate(methods.items())
        if best_by in scores and not name.startswith((_ABLATION, "model: "))
    }
    best = frozenset(place for place, score in rivals.items() if score == max(rivals.values()))
    return Table(["method", *(name.replace("_", " ") for name in columns)], rows, caption, best)


def shown_score(score: float | None) -> str:
    """Return a score as text, a dash if there is none."""
    return "–" if score is None else f"{score:.3f}"


def comparison(own: float, other: float) -> str:
    """Return in words how the model's score compares with another."""
    if round(own, 3) == round(other, 3):
        return "equals"
    return "is above" if own > other else "is BELOW"


def task_report(
    title: str,
    summary: Sequence[str],
    sections: list[Section],
    parameters: dict[str, Any],
    run: dict[str, Any],
) -> str:
    """Return a task's report as one HTML page, which ends with parameters and facts of the run.

    Parameters
    ----------
    title
        The task.
    summary
        What came out, how far to trust it, and what to look at: a sentence each.
    sections
        Sections of the task.
    parameters
        Flat parameters by dotted name.
    run
        Facts of the run, as in ``metrics.json``.
    """
    shown = {
        name: value for name, value in run.items() if name != "parameters"
    }  # which stand above
    closing = [
        Section("Parameters", tables=[Table(["parameter", "value"], _rows(parameters), SET)]),
        Section(
            "Run",
            _on_threads(run),
            [Table([], _rows(shown), "The command, time and versions of this run.")],
        ),
    ]
    footer = f"sc-mamba2 {run.get('version', '')} · run {run.get('run_id', '')}"
    return render_report(title, " ".join(summary), [*sections, *closing], footer)


def _on_threads(run: dict[str, Any]) -> list[str]:
    """Explain that the seed reproduces the result only for the same number of threads."""
    if "threads" not in run:
        return []
    return [
        f"Computed with {run['threads']} thread{'s' * (run['threads'] != 1)}. The same seed gives the same result "
        "only with the same number of threads, which sets the order of sums; --deterministic uses one "
        "thread."
    ]


def _rows(values: dict[str, Any]) -> list[list[str]]:
    return [[str(name), str(value)] for name, value in values.items()]


def pictures_section(
    figures: dict[str, bytes], pictures: Sequence[Picture], cell_map: CellMap | None = None
) -> Section:
    """Return a section of PNG figures with captions (else names); a map replaces some of them."""
    captions = {picture.name: picture.caption for picture in pictures}
    mapped = cell_map.stands_for if cell_map else ()
    stills, shown = (
        {
            captions.get(name, name): png
            for name, png in figures.items()
            if (name in mapped) == still
        }
        for still in (True, False)
    )
    return Section("Pictures", pictures=shown, cell_map=cell_map, stills=stills)


def read_section(
    read: dict[str, Any],
    rows: Iterable[tuple[str, Any]] = (),
    remarks: Iterable[dict[str, str]] = (),
    caption: str = "Genes by Ensembl id, then symbol.",
) -> Section:
    """Return a section on what was read of a file.

    Parameters
    ----------
    read
        A validation report: ``expression``, counts of matched and dropped ``genes``, ``remarks``.
    rows
        Further names and counts.
    remarks
        Further remarks, shown first.
    caption
        Caption of the table.
    """
    expression = read["expression"]
    table = [
        ["expression", f"{expression['origin']} ({expression['kind']})"],
        *([name, value if isinstance(value, str) else f"{value:,}"] for name, value in rows),
        *(
            [f"genes {name.replace('_', ' ')}", f"{count:,}"]
            for name, count in read["genes"].items()
            if count or name in _ALWAYS
        ),
    ]
    words = remark_words([*remarks, *read["remarks"]])
    return Section("What was read and dropped", words, [Table([], table, caption)])


def remark_words(remarks: Iterable[dict[str, str]], of: str = "") -> list[str]:
    """Return remarks as text, each with its rule."""
    return [f"{of}{remark['remark']} ({remark['rule']})." for remark in remarks]


def written_section(what: str, meanings: dict[str, str]) -> Section:
    """Return a section on the meaning of each key of an output."""
    rows = [[key, meaning] for key, meaning in meanings.items()]
    return Section("What was written", tables=[Table([what, "meaning"], rows, f"Each {what}.")])


def ablation_sentences(score: str, what: str, metrics: dict[str, Any]) -> list[str]:
    """Return in words the score of each ablation, and how much better the full model is."""
    if score not in metrics["model"]:
        return []
    own = metrics["model"][score]
    return [
        f"{what}: {name} reaches {other:.3f} (full model: {own - other:+.3f})."
        for name, other in _methods_with(score, metrics["ablations"]).items()
    ]


def _methods_with(score: str, methods: dict[str, dict[str, float]]) -> dict[str, float]:
    return {name: scores[score] for name, scores in methods.items() if score in scores}
