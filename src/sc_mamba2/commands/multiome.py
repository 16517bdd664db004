"""`scm multiome`: one embedding of cells from several modalities, learnt from them or by a checkpoint."""

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
    Params,
    RequireKernels,
    ScanPath,
    Seed,
    Verbose,
    contradiction,
    forced_path,
    no_length_with_checkpoint,
)


def multiome(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE", help="One .h5mu, or a file a modality, if need be as protein=FILE."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .h5mu file to write.")],
    batch_key: Annotated[
        str | None,
        typer.Option("--batch-key", "-b", help="Column of obs with batches to be taken out."),
    ] = None,
    label_key: Annotated[
        str | None,
        typer.Option("--label-key", "-k", help="Column of obs with cell types: for scores only."),
    ] = None,
    held_out: Annotated[
        str | None,
        typer.Option("--held-out", help="Cells that nothing is learnt from, as COLUMN=VALUE."),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", "-c", help="Trained folder; nothing is trained.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--start", help="Checkpoint to begin with; none: a new one."),
    ] = None,
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
    """Embed RNA and protein, or RNA and ATAC, of the same cells.

    scm multiome RNA.h5ad PROTEIN.h5ad --output OUT.h5mu

    scm multiome MORE.h5mu --checkpoint OUT.scm/checkpoint --output MORE_OUT.h5mu

    Cells that lack a modality take part with the others; it is told from them.
    Writes OUT.h5mu (the modalities with X_scm_joint) and the folder OUT.scm with
    report.html, metrics.json, figures and the reusable checkpoint.
    """
    with told_once():
        from sc_mamba2.commands.results import show_results
        from sc_mamba2.runs.logs import set_logging
        from sc_mamba2.runs.selection import Selection, given_params, merge, nest
        from sc_mamba2.runs.verbs import run_verb

        set_logging(verbose)
        _refuse_contradictions(checkpoint, batch_key, start, held_out, max_length)
        column, equals, value = (held_out or "").partition("=")
        if held_out and not equals:
            raise contradiction(
                f"--held-out {held_out}", "COLUMN=VALUE", "write --held-out split=test"
            )
        chosen: dict[str, Any] = {
            "multiomics.source.inputs": files,
            "checkpoint": str(checkpoint.resolve()) if checkpoint else None,
            "multiomics.keys.batch_key": batch_key,
            "multiomics.keys.held_out_key": column or None,
            "multiomics.keys.held_out_value": value or None,
            "multiomics.backbone.checkpoint": None if start == "none" else start,
            "multiomics.ablations.names": [] if no_ablations else None,
            "multiomics.predict.batch_size": batch_size,
            "ingestion.layer": layer,
            "tokenization.max_length": max_length,
            "compute.device": device,
            "compute.scan_path": forced_path(scan_path, require_kernels),
            "compute.seed": seed,
        }
        # No labels named means none, not those of the project's own cells; `none` is no checkpoint.
        said = nest({"multiomics.keys.label_key": label_key})
        if start == "none":
            said = merge(said, nest({"multiomics.backbone.checkpoint": None}))
        selection = Selection(
            pipelines=("multiomics_predict" if checkpoint else "multiomics",),
            params=merge(said, given_params(chosen, params)),
        )
        kept = run_verb(selection, output, "multiomics", "multiomics.joint", force, ".h5mu")
        show_results(
            kept.folder / "metrics.json",
            {"cells": kept.output, "report": kept.folder / "report.html"},
        )


def _refuse_contradictions(
    checkpoint: Path | None,
    batch_key: str | None,
    start: str | None,
    held_out: str | None,
    max_length: int | None,
) -> None:
    if checkpoint is None:
        return
    given = {"--batch-key": batch_key, "--start": start, "--held-out": held_out}
    for option, value in given.items():
        if value is not None:
            raise contradiction(
                f"--checkpoint and {option}",
                "a trained folder alone: it knows its column and its backbone",
                f"leave {option} out",
            )
    if max_length:
        raise no_length_with_checkpoint()
