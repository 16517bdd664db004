"""Sections that the reports of the tasks share: pictures, what was read, what was written; who won."""

from collections.abc import Iterable
from typing import Any

from sc_mamba2.reporting.html import Section, Table
from sc_mamba2.reporting.scores import comparison

_ALWAYS = ("total", "matched", "kept")  # of the other counts of genes, zero is no news


def pictures_section(figures: dict[str, bytes], captions: dict[str, str]) -> Section:
    """Show PNG pictures, each under its caption, or else under its name."""
    return Section(
        "Pictures", pictures={captions.get(name, name): figures[name] for name in figures}
    )


def read_section(
    read: dict[str, Any],
    rows: Iterable[tuple[str, Any]] = (),
    remarks: Iterable[dict[str, str]] = (),
    caption: str = "Genes by Ensembl id, then symbol.",
) -> Section:
    """Show what was read of a file.

    Parameters
    ----------
    read
        A validation report: ``expression``, ``genes`` by what became of them, ``remarks``.
    rows
        What else was counted, and how much of it.
    remarks
        Others than those of the report, told first.
    caption
        Of the table.
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
    """Tell remarks in words, each with its rule."""
    return [f"{of}{remark['remark']} ({remark['rule']})." for remark in remarks]


def written_section(what: str, meanings: dict[str, str]) -> Section:
    """Show what each key of an output means."""
    rows = [[key, meaning] for key, meaning in meanings.items()]
    return Section("What was written", tables=[Table([what, "meaning"], rows, f"Each {what}.")])


def beside_baselines(score: str, what: str, metrics: dict[str, Any]) -> list[str]:
    """Say in words how the model's score stands to that of the best baseline; a higher one is better."""
    others = _having(score, metrics["baselines"])
    if score not in metrics["model"] or not others:
        return []
    own, name = metrics["model"][score], max(others, key=lambda method: others[method])
    return [
        f"{what}: the model's {own:.3f} {comparison(own, others[name])} the best baseline, {name} "
        f"({others[name]:.3f})."
    ]


def worth_of_parts(score: str, what: str, metrics: dict[str, Any]) -> list[str]:
    """Say in words what each ablation reaches, and what the whole model has over it."""
    if score not in metrics["model"]:
        return []
    own = metrics["model"][score]
    return [
        f"{what}: {name} reaches {other:.3f} ({own - other:+.3f} for all parts)."
        for name, other in _having(score, metrics["ablations"]).items()
    ]


def _having(score: str, methods: dict[str, dict[str, float]]) -> dict[str, float]:
    return {name: scores[score] for name, scores in methods.items() if score in scores}
