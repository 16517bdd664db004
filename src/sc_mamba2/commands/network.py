"""`scm network`: which genes regulate which, by knock-outs in silico and by embeddings."""

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
    Params,
    RequireKernels,
    ScanPath,
    Seed,
    Verbose,
    forced_path,
    from_here,
)


def network(
    cells: Annotated[str, typer.Argument(metavar="FILE", help="Cells to look at.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .csv file of edges.")],
    genes: Annotated[
        str | None,
        typer.Option("--genes", help="Regulators: names by commas, or a file, a name a line."),
    ] = None,
    reference_network: Annotated[
        str | None,
        typer.Option("--reference-network", help="File of known edges to be judged by."),
    ] = None,
    checkpoint: EncoderCheckpoint = None,
    boosting: Annotated[
        bool, typer.Option("--boosting", help="Score boosted trees beside the model; slow.")
    ] = False,
    layer: Layer = None,
    batch_size: BatchSize = None,
    device: Device = None,
    scan_path: ScanPath = None,
    require_kernels: RequireKernels = False,
    seed: Seed = None,
    params: Params = None,
    force: Force = False,
    verbose: Verbose = False,
) -> None:
    """Score which genes regulate which, without training.

    scm network FILE --output OUT.csv

    scm network FILE --genes STAT1,IRF7 --reference-network KNOWN.csv -o OUT.csv

    Writes OUT.csv (a line an edge) and the folder OUT.scm with network.graphml,
    modules.csv, report.html, metrics.json and figures.
    """
    with told_once():
        from sc_mamba2.commands.results import show_results
        from sc_mamba2.runs.logs import set_logging
        from sc_mamba2.runs.selection import Selection, given_params
        from sc_mamba2.runs.verbs import run_verb

        set_logging(verbose)
        chosen: dict[str, Any] = {
            "input": cells,
            "gene_network.genes.regulators": _names_or_file(genes),
            "gene_network.reference.reference_network": from_here(reference_network),
            "gene_network.scoring.checkpoint": checkpoint,
            "gene_network.scoring.batch_size": batch_size,
            "gene_network.baselines.boosting": boosting or None,
            "ingestion.layer": layer,
            "compute.device": device,
            "compute.scan_path": forced_path(scan_path, require_kernels),
            "compute.seed": seed,
        }
        selection = Selection(pipelines=("gene_network",), params=given_params(chosen, params))
        kept = run_verb(selection, output, "gene_network", "gene_network.edges", force, ".csv")
        places = {"edges": kept.output, "report": kept.folder / "report.html"}
        show_results(kept.folder / "metrics.json", places)


def _names_or_file(genes: str | None) -> str | None:
    """Return a file as it is called from any folder, names as they are."""
    return from_here(genes) if genes is not None and Path(genes).is_file() else genes
