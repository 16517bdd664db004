"""`scm import-weights`: the authors' released weights as a checkpoint folder of ours."""

from pathlib import Path
from typing import Annotated

import typer

from sc_mamba2.commands.errors import told_once
from sc_mamba2.commands.options import Force


def import_weights(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="As released: best_model.pt, args.json, vocab.json."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The checkpoint folder to write.")],
    dsbn: Annotated[
        int | None,
        typer.Option(min=0, help="Batch whose norm is taken, where each batch has its own."),
    ] = None,
    force: Force = False,
) -> None:
    """Convert released SC-MAMBA2 weights; nothing in them is run.

    scm import-weights FOLDER --output CHECKPOINT

    The weights keep their own, non-commercial licence (CC BY-NC 4.0).
    """
    with told_once():
        from sc_mamba2.model.upstream import LICENCE, import_release

        report = import_release(folder, output, overwrite=force, domain=dsbn)
        genes = report.genes
        unmapped = sum(genes[name] for name in ("duplicate", "ambiguous", "retired", "unknown"))
        lines = {
            "tensors": f"{report.mapped:,} mapped, {len(report.unused):,} not used",
            "not used": ", ".join(report.unused),
            "genes": f"{genes['matched']:,} of {genes['genes']:,} have an Ensembl id "
            f"({genes['matched_by_alias']:,} by alias)",
            "unmapped": f"{unmapped:,} keep their name ("
            + ", ".join(
                f"{genes[name]:,} {name}"
                for name in ("duplicate", "ambiguous", "retired", "unknown")
            )
            + ")",
            "unnamed rows": f"{genes['unnamed_rows']:,}" if genes["unnamed_rows"] else "",
            "licence": LICENCE,
            "checkpoint": str(report.folder),
        }
        for name, text in lines.items():
            if text:
                typer.echo(f"{name + ':':<14}{text}")
