"""`scm import-weights`: convert the authors' released weights into a checkpoint folder."""

from pathlib import Path
from typing import Annotated

import typer

from sc_mamba2.tasks.shared.row import RUNNING


def import_weights(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="As released: best_model.pt, args.json, vocab.json."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The checkpoint folder to write.")],
    dsbn: Annotated[
        int | None,
        typer.Option(min=0, help="Batch whose norm to use, if each batch has its own."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace existing results.", rich_help_panel=RUNNING),
    ] = False,
) -> None:
    """Convert released SC-MAMBA2 weights; nothing in them is run.

    scm import-weights FOLDER --output CHECKPOINT

    The weights keep their own, non-commercial licence (CC BY-NC 4.0).
    """
    from sc_mamba2.commands.results import show_facts
    from sc_mamba2.model.upstream import LICENCE, import_release

    report = import_release(folder, output, overwrite=force, domain=dsbn)
    genes = report.genes
    unmapped = {name: genes[name] for name in ("duplicate", "ambiguous", "retired", "unknown")}
    kinds = ", ".join(f"{count:,} {name}" for name, count in unmapped.items())
    lines = {
        "tensors": f"{report.mapped:,} mapped, {len(report.unused):,} not used",
        "not used": ", ".join(report.unused),
        "genes": f"{genes['matched']:,} of {genes['genes']:,} have an Ensembl id "
        f"({genes['matched_by_alias']:,} by alias)",
        "unmapped": f"{sum(unmapped.values()):,} keep their name ({kinds})",
        "unnamed rows": f"{genes['unnamed_rows']:,}" if genes["unnamed_rows"] else "",
        "licence": LICENCE,
        "checkpoint": str(report.folder),
    }
    shown = {name: text for name, text in lines.items() if text}
    show_facts(shown, shown, 14)
