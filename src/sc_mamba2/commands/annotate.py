"""`scm annotate`: cell types for a query, from a labelled reference or a trained checkpoint."""

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


def annotate(
    output: Output,
    query: Annotated[
        str | None,
        typer.Argument(
            metavar="QUERY", help="Cells to annotate; else a held-out part of the reference."
        ),
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", "-r", help="Labelled cells to learn from.")
    ] = None,
    label_key: Annotated[
        str | None, typer.Option("--label-key", "-k", help="Column of obs with the cell types.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", "-c", help="Trained folder; nothing is trained.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(help="Pretrained checkpoint to begin with; all its genes are read."),
    ] = None,
    fit: Annotated[
        str | None,
        typer.Option(help="How the head learns: gradient, linear or prototypes."),
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
    """Give every cell a type.

    scm annotate QUERY --reference REF --label-key KEY --output OUT.h5ad

    scm annotate QUERY -r REF -k KEY --start scm-tiny --fit prototypes -o OUT.h5ad

    scm annotate QUERY --checkpoint OUT.scm/checkpoint --output AGAIN.h5ad

    Writes OUT.h5ad (the query with scm_cell_type, its confidence, X_scm, …) and
    the folder OUT.scm with report.html, metrics.json, figures and the reusable
    checkpoint.
    """
    with told_once():
        from sc_mamba2.commands.results import show_results
        from sc_mamba2.runs.logs import set_logging
        from sc_mamba2.runs.selection import Selection, given_params
        from sc_mamba2.runs.verbs import run_verb

        set_logging(verbose)
        pipeline = _pipeline(query, reference, checkpoint, label_key)
        if checkpoint and max_length:
            raise no_length_with_checkpoint()
        if checkpoint and (start or fit):
            raise contradiction(
                f"--checkpoint with {'--start' if start else '--fit'}",
                "a trained folder, from which nothing is trained",
                "leave one out",
            )
        every_gene = ["tokenization.variable_genes=null"] if start else []
        key = "annotation.labels.query_key" if checkpoint else "annotation.labels.key"
        chosen: dict[str, Any] = {
            "input": reference,
            "query": query,
            "checkpoint": str(checkpoint.resolve()) if checkpoint else None,
            key: label_key,
            "tokenization.vocabulary": start,
            "annotation.backbone.checkpoint": start,
            "annotation.head.fit": fit,
            "annotation.ablations.names": [] if no_ablations else None,
            "annotation.predict.batch_size": batch_size,
            "ingestion.layer": layer,
            "tokenization.max_length": max_length,
            "compute.device": device,
            "compute.scan_path": forced_path(scan_path, require_kernels),
            "compute.seed": seed,
        }
        selection = Selection(
            pipelines=(pipeline,), params=given_params(chosen, every_gene + (params or []))
        )
        kept = run_verb(selection, output, "annotation", "annotation.annotated", force)
        show_results(
            kept.folder / "metrics.json",
            {"cells": kept.output, "report": kept.folder / "report.html"},
        )


def _pipeline(
    query: str | None, reference: str | None, checkpoint: Path | None, label_key: str | None
) -> str:
    """Choose the pipeline, or refuse a combination that means nothing."""
    if checkpoint and reference:
        raise contradiction(
            "--checkpoint and --reference",
            "one of the two: a checkpoint needs no reference",
            "leave one out",
        )
    if checkpoint:
        if query is None:
            raise contradiction(
                "--checkpoint without a query", "cells to annotate", "name the QUERY file"
            )
        return "annotation_predict"
    if reference is None:
        raise contradiction(
            "neither --reference nor --checkpoint",
            "labelled cells to learn from, or a trained folder",
            "add --reference REF --label-key KEY, or --checkpoint FOLDER",
        )
    if label_key is None:
        raise contradiction(
            "--reference without --label-key",
            "the column of obs that holds the cell types",
            "add --label-key KEY; `scm validate REF` lists the columns",
        )
    return "annotation_query" if query else "annotation"
