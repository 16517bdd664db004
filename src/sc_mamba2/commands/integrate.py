"""`scm integrate`: an embedding of cells without their batch, learnt from them or by a checkpoint."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sc_mamba2.commands.errors import told_once
from sc_mamba2.commands.options import (
    BatchSize,
    Device,
    Force,
    Layer,
    MaxLength,
    Output,
    Params,
    RequireKernels,
    ScanPath,
    Seed,
    Verbose,
    contradiction,
    forced_path,
    no_length_with_checkpoint,
)


def integrate(
    cells: Annotated[str, typer.Argument(metavar="CELLS", help="Cells of two batches or more.")],
    output: Output,
    batch_key: Annotated[
        str | None, typer.Option("--batch-key", "-b", help="Column of obs with the batches.")
    ] = None,
    label_key: Annotated[
        str | None,
        typer.Option("--label-key", "-k", help="Column of obs with cell types: for scores only."),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", "-c", help="Trained folder; nothing is trained.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--start", help="Checkpoint whose backbone the training begins with."),
    ] = None,
    expression: Annotated[
        bool, typer.Option("--expression", help="Write the corrected expression too, as a layer.")
    ] = False,
    no_ablations: Annotated[
        bool, typer.Option("--no-ablations", help="Do not train the variants of the model.")
    ] = False,
    layer: Layer = None,
    max_length: MaxLength = None,
    batch_size: BatchSize = None,
    device: Device = None,
    scan_path: ScanPath = None,
    require_kernels: RequireKernels = False,
    seed: Seed = None,
    params: Params = None,
    force: Force = False,
    verbose: Verbose = False,
) -> None:
    """Take the batches out of cells.

    scm integrate CELLS --batch-key KEY --output OUT.h5ad

    scm integrate MORE --checkpoint OUT.scm/checkpoint --output MORE_OUT.h5ad

    Writes OUT.h5ad (the cells with X_scm_corrected) and the folder OUT.scm with
    report.html, metrics.json, figures and the reusable checkpoint.
    """
    with told_once():
        from sc_mamba2.commands.results import show_results
        from sc_mamba2.runs.logs import set_logging
        from sc_mamba2.runs.selection import Selection, given_params, merge, nest
        from sc_mamba2.runs.verbs import run_verb

        set_logging(verbose)
        _refuse_contradictions(batch_key, checkpoint, start, max_length)
        chosen: dict[str, Any] = {
            "input": cells,
            "checkpoint": str(checkpoint.resolve()) if checkpoint else None,
            "batch_correction.keys.batch_key": batch_key,
            "batch_correction.backbone.checkpoint": start,
            "tokenization.vocabulary": start,
            "batch_correction.output.expression": expression or None,
            "batch_correction.ablations.names": [] if no_ablations else None,
            "batch_correction.predict.batch_size": batch_size,
            "ingestion.layer": layer,
            "tokenization.max_length": max_length,
            "compute.device": device,
            "compute.scan_path": forced_path(scan_path, require_kernels),
            "compute.seed": seed,
        }
        # No labels named means none, not those of the project's own cells.
        labels = nest({"batch_correction.keys.label_key": label_key})
        selection = Selection(
            pipelines=("batch_correction_predict" if checkpoint else "batch_correction",),
            params=merge(labels, given_params(chosen, params)),
        )
        kept = run_verb(selection, output, "batch_correction", "batch_correction.integrated", force)
        show_results(
            kept.folder / "metrics.json",
            {"cells": kept.output, "report": kept.folder / "report.html"},
        )


def _refuse_contradictions(
    batch_key: str | None, checkpoint: Path | None, start: str | None, max_length: int | None
) -> None:
    if checkpoint is None and batch_key is None:
        raise contradiction(
            "neither --batch-key nor --checkpoint",
            "the column of obs that holds the batches, or a trained folder",
            "add --batch-key KEY; `scm validate CELLS` lists the columns",
        )
    if checkpoint is None:
        return
    for option, value in (("--batch-key", batch_key), ("--start", start)):
        if value is not None:
            raise contradiction(
                f"--checkpoint and {option}",
                "a trained folder alone: it knows its column and its backbone",
                f"leave {option} out",
            )
    if max_length:
        raise no_length_with_checkpoint()
