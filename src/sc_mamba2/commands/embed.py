"""`scm embed`: a vector a cell for a file of any size; types from an index; a vector a gene."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sc_mamba2.commands.errors import told_once
from sc_mamba2.commands.options import (
    BatchSize,
    Device,
    EncoderCheckpoint,
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
)


def embed(
    cells: Annotated[
        str | None, typer.Argument(metavar="FILE", help="Cells to embed, of any size.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The .h5ad file to write.")
    ] = None,
    checkpoint: EncoderCheckpoint = None,
    index: Annotated[
        Path | None, typer.Option(help="Index of a labelled reference; its types are given.")
    ] = None,
    label_key: Annotated[
        str | None, typer.Option("--label-key", "-k", help="Column of obs to score by: types.")
    ] = None,
    batch_key: Annotated[
        str | None, typer.Option(help="Column of obs to score by: batches.")
    ] = None,
    genes: Annotated[
        Path | None, typer.Option(help="The .parquet file for the vectors of the genes.")
    ] = None,
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
    """Give every cell a vector, without training.

    scm embed FILE --output OUT.h5ad

    scm embed QUERY --index INDEX --output OUT.h5ad

    scm embed --genes GENES.parquet

    Writes OUT.h5ad (the cells with X_scm; with an index also types) and the
    folder OUT.scm with report.html, metrics.json and figures. A run that was
    killed goes on with the same command.
    """
    with told_once():
        from sc_mamba2.commands.results import show_results
        from sc_mamba2.runs.logs import set_logging
        from sc_mamba2.runs.selection import Selection, given_params
        from sc_mamba2.runs.verbs import resumable_folder, run_for, run_verb

        set_logging(verbose)
        _refuse_contradictions(cells, output, index, genes)
        chosen: dict[str, Any] = {
            "embedding.options.checkpoint": checkpoint,
            "embedding.options.max_length": max_length,
            "embedding.options.batch_size": batch_size,
            "compute.device": device,
            "compute.scan_path": forced_path(scan_path, require_kernels),
            "compute.seed": seed,
        }
        of_cells: dict[str, Any] = {
            "input": cells,
            "index": None if index is None else str(index.resolve()),
            "embedding.keys.label_key": label_key,
            "embedding.keys.batch_key": batch_key,
            "ingestion.layer": layer,
        }

        places = {}
        if genes is not None:
            selection = Selection(
                pipelines=("embedding_genes",), params=given_params(chosen, params)
            )
            places["genes"] = run_for(selection, genes, "embedding.genes", ".parquet", force)
        metrics = Path()
        if output is not None:
            name = "embedding" if index is None else "embedding_mapping"
            with resumable_folder(output) as blocks:
                given = chosen | of_cells | {"embedding.source.blocks": str(blocks)}
                selection = Selection(pipelines=(name,), params=given_params(given, params))
                kept = run_verb(selection, output, "embedding", "embedding.embedded", force)
            metrics = kept.folder / "metrics.json"
            places |= {"cells": kept.output, "report": kept.folder / "report.html"}
        show_results(metrics, places)


def _refuse_contradictions(
    cells: str | None, output: Path | None, index: Path | None, genes: Path | None
) -> None:
    """Refuse a combination that means nothing."""
    found, mend = None, "name the FILE of cells and --output OUT.h5ad"
    if (cells is None) != (output is None):
        found = "cells without an --output" if output is None else "an --output without cells"
    elif cells is None and genes is None:
        found = "neither cells nor --genes"
    elif cells is None and index is not None:
        found = "an --index without cells"
    if found is not None:
        expected = "a file of cells and where to write it, or --genes GENES.parquet"
        raise contradiction(found, expected, mend)
