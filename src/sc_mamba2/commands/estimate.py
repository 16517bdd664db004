"""The output of a dry run: cells, tokens, model, steps, memory, time, and what would be written."""

from typing import TYPE_CHECKING, Any

from sc_mamba2.commands.results import show_facts
from sc_mamba2.tasks.shared.messages import duration

if TYPE_CHECKING:
    from sc_mamba2.runs.dry_run import DryRun
    from sc_mamba2.tasks.shared.work import TokenCount, Work


def show_dry_run(estimate: "DryRun") -> None:
    """Show the estimates of a dry run; in quiet mode only what would be written."""
    lines = _lines(estimate)
    show_facts(estimate.as_json(), lines, 2 + max(map(len, lines)), estimate.writes)


def _lines(estimate: "DryRun") -> dict[str, Any]:
    lines: dict[str, Any] = {"dry run": "nothing was written"}
    reports = estimate.reports.items()
    lines["cells"] = [f"{role}: {_cells(report)}" for role, report in reports if "cells" in report]
    if (work := estimate.work) is not None:
        counts = work.tokens | estimate.later
        if counts:
            lines["tokens"] = [f"{role}: {_tokens(count)}" for role, count in counts.items()]
        trained = f", {work.trained:,} of them trained" if work.trained else ""
        if work.parameters:
            lines["model"] = f"{work.parameters:,} parameters{trained}"
        epochs = "" if work.epochs is None else f", at most {work.epochs:,} epochs"
        lines[work.name] = f"{work.steps:,} steps of {work.step}{epochs}"
        lines |= {name: f"{value:,}" for name, value in work.facts.items()}
        lines["memory"] = _memory(work)
        lines["time"] = _time(estimate, work)
    if estimate.untimed:
        lines["not timed"] = ", ".join(estimate.untimed)
    return lines | {"would write": [str(path) for path in estimate.writes]}


def _cells(report: dict[str, Any]) -> str:
    text = f"{report['cells']:,}"
    if genes := report.get("genes"):
        dropped = genes["total"] - genes["kept"]
        text += f"; {genes['matched']:,} of {genes['total']:,} genes known, {dropped:,} dropped"
    return text + (f"; {report['kept']:,} kept" if "kept" in report else "")


def _tokens(count: "TokenCount") -> str:
    about = "" if count.counted == count.cells else f"about (from {count.counted:,} cells) "
    return (
        f"{about}{count.tokens:,} of {count.cells:,} cells, median {count.median:,.0f} per cell, "
        f"longest {count.longest:,}; {count.at_limit:,} cells at the limit of {count.limit:,}"
    )


def _memory(work: "Work") -> str:
    text = f"{work.peak_bytes / 2**20:,.0f} MiB at the peak so far"
    if work.state_bytes:
        state = work.state_bytes / 2**20
        text += f"; weights, gradients and optimizer are {state:,.0f} MiB of that"
    return text


def _time(estimate: "DryRun", work: "Work") -> str:
    if estimate.seconds is None or work.seconds_a_step is None:
        return "not estimated: there is no step to time"
    text = (
        f"about {duration(estimate.seconds)}, an estimate from "
        f"{work.probed} step{'s' if work.probed > 1 else ''} of {work.seconds_a_step:.2g} s"
    )
    if work.epochs is not None:
        text += "; less if it stops early"
    if estimate.ablations:
        text += f"; plus ablations ({', '.join(estimate.ablations)}), each at most as long"
    return text
