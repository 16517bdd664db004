"""What a dry run shows: cells, tokens, model, steps, memory, time, and what would be written."""

import json
from typing import TYPE_CHECKING, Any

import typer

from sc_mamba2.commands.answer import mode
from sc_mamba2.commands.results import duration, show_lines

if TYPE_CHECKING:
    from sc_mamba2.runs.dry_run import DryRun
    from sc_mamba2.tasks.shared.work import TokenCount, Work


def show_dry_run(found: "DryRun") -> None:
    """Show what a dry run found out; quietly: what would be written."""
    if mode().json:
        typer.echo(json.dumps(found.as_json(), indent=1))
    elif mode().quiet:
        for path in found.writes:
            typer.echo(path)
    else:
        lines = _lines(found)
        show_lines(lines, 2 + max(map(len, lines)))


def _lines(found: "DryRun") -> dict[str, Any]:
    lines: dict[str, Any] = {"dry run": "nothing was written"}
    lines["cells"] = [
        f"{role}: {_cells(report)}" for role, report in found.reports.items() if "cells" in report
    ]
    work = found.work
    if work is not None:
        counts = work.tokens | found.later
        lines["tokens"] = [f"{role}: {_tokens(count)}" for role, count in counts.items()]
        trained = f", {work.trained:,} of them trained" if work.trained else ""
        lines["model"] = f"{work.parameters:,} parameters{trained}"
        lines[work.name] = _steps(work)
        lines |= {name: f"{value:,}" for name, value in work.facts.items()}
        lines["memory"] = _memory(work)
        lines["time"] = _time(found, work)
    if found.untimed:
        lines["not timed"] = ", ".join(found.untimed)
    lines["would write"] = [str(path) for path in found.writes]
    return lines


def _cells(report: dict[str, Any]) -> str:
    text = f"{report['cells']:,}"
    if genes := report.get("genes"):
        dropped = genes["total"] - genes["kept"]
        text += f"; {genes['matched']:,} of {genes['total']:,} genes known, {dropped:,} dropped"
    if "kept" in report:
        text += f"; {report['kept']:,} kept"
    return text


def _tokens(count: "TokenCount") -> str:
    about = "" if count.counted == count.cells else f"about (from {count.counted:,} cells) "
    return (
        f"{about}{count.tokens:,} of {count.cells:,} cells, median {count.median:,.0f} a cell, "
        f"longest {count.longest:,}; {count.at_limit:,} cells at the limit of {count.limit:,}"
    )


def _steps(work: "Work") -> str:
    text = f"{work.steps:,} steps of {work.step}"
    return text if work.epochs is None else f"{text}, {work.epochs:,} epochs at most"


def _memory(work: "Work") -> str:
    text = f"{work.peak_bytes / 2**20:,.0f} MiB at the peak until here"
    if work.state_bytes:
        state = work.state_bytes / 2**20
        text += f"; weights, gradients and optimizer are {state:,.0f} MiB of it"
    return text


def _time(found: "DryRun", work: "Work") -> str:
    if found.seconds is None or work.seconds_a_step is None:
        return "not told: there is no step to time"
    text = (
        f"about {duration(found.seconds)}, an estimate from "
        f"{work.probed} step{'s' if work.probed > 1 else ''} of {work.seconds_a_step:.2g} s"
    )
    if work.epochs is not None:
        text += "; less where it stops early"
    if found.ablations:
        text += f"; beside it ablations ({', '.join(found.ablations)}), each as long at most"
    return text
