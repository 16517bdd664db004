"""`scm perturb`: cells as if they were perturbed, learnt from perturbed cells or by a checkpoint."""

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
    from_here,
    no_length_with_checkpoint,
)


def perturb(
    cells: Annotated[
        str, typer.Argument(metavar="CELLS", help="Perturbed and control cells; or controls alone.")
    ],
    output: Output,
    perturbation: Annotated[
        str | None, typer.Option("--perturbation", "-p", help="What to predict: GENE, or A+B.")
    ] = None,
    perturbation_key: Annotated[
        str | None,
        typer.Option("--perturbation-key", "-k", help="Column of obs with the perturbations."),
    ] = None,
    control: Annotated[
        str | None, typer.Option("--control", help="Name of unperturbed cells in that column.")
    ] = None,
    context_key: Annotated[
        str | None,
        typer.Option("--context-key", help="Column of obs with cell types, lines or batches."),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--kind", help="Of what kind: knockout, crispri, crispra or chemical."),
    ] = None,
    perturbation_features: Annotated[
        str | None,
        typer.Option("--perturbation-features", help="CSV: a row of numbers a perturbation."),
    ] = None,
    hold_out: Annotated[
        str | None,
        typer.Option(
            "--hold-out",
            help="What is scored: unseen_perturbation, unseen_combination, "
            "unseen_context or random_cells.",
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", "-c", help="Trained folder; nothing is trained.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--start", help="Checkpoint whose backbone the training begins with."),
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
    """Predict what a perturbation does to cells.

    scm perturb CELLS --perturbation GENE --output OUT.h5ad

    scm perturb CONTROLS -p GENE+GENE -c OUT.scm/checkpoint -o MORE.h5ad

    Writes OUT.h5ad (the control cells with the layer scm_predicted) and the
    folder OUT.scm with report.html, metrics.json, genes.csv, figures and the
    reusable checkpoint.
    """
    with told_once():
        from sc_mamba2.commands.results import show_results
        from sc_mamba2.runs.logs import set_logging
        from sc_mamba2.runs.selection import Selection, given_params
        from sc_mamba2.runs.verbs import run_verb

        set_logging(verbose)
        trained = {
            "--perturbation-key": perturbation_key,
            "--control": control,
            "--context-key": context_key,
            "--kind": kind,
            "--perturbation-features": perturbation_features,
            "--hold-out": hold_out,
            "--start": start,
        }
        _refuse_contradictions(perturbation, checkpoint, trained, max_length)
        chosen: dict[str, Any] = {
            "input": cells,
            "checkpoint": str(checkpoint.resolve()) if checkpoint else None,
            "perturbation.population.perturbation": perturbation,
            "perturbation.keys.perturbation_key": perturbation_key,
            "perturbation.keys.control": control,
            "perturbation.keys.context_key": context_key,
            "perturbation.keys.kind": kind,
            "perturbation.keys.feature_file": from_here(perturbation_features),
            "perturbation.split.kind": hold_out,
            "perturbation.backbone.checkpoint": start,
            "tokenization.vocabulary": start,
            "perturbation.ablations.names": [] if no_ablations else None,
            "perturbation.predict.batch_size": batch_size,
            "ingestion.layer": layer,
            "tokenization.max_length": max_length,
            "compute.device": device,
            "compute.scan_path": forced_path(scan_path, require_kernels),
            "compute.seed": seed,
        }
        selection = Selection(
            pipelines=("perturbation_predict" if checkpoint else "perturbation",),
            params=given_params(chosen, params),
        )
        result = "perturbation.predicted_cells"
        kept = run_verb(selection, output, "perturbation", result, force)
        show_results(
            kept.folder / "metrics.json",
            {
                "cells": kept.output,
                "genes": kept.folder / "genes.csv",
                "report": kept.folder / "report.html",
            },
        )


def _refuse_contradictions(
    perturbation: str | None,
    checkpoint: Path | None,
    trained: dict[str, str | None],
    max_length: int | None,
) -> None:
    if perturbation is None:
        raise contradiction(
            "no --perturbation",
            "the perturbation to predict: a gene, a compound, or several joined by '+'",
            "add --perturbation NAME",
        )
    if checkpoint is None:
        return
    for option, value in trained.items():
        if value is not None:
            raise contradiction(
                f"--checkpoint and {option}",
                "a trained folder alone: it knows its columns, features and backbone",
                f"leave {option} out",
            )
    if max_length:
        raise no_length_with_checkpoint()
