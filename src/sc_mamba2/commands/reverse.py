"""`scm reverse`: which perturbation brings cells from one state to another, by a checkpoint."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sc_mamba2.commands.errors import told_once
from sc_mamba2.commands.options import Force, Layer, Params, Seed, Verbose, from_here


def reverse(
    cells: Annotated[str, typer.Argument(metavar="CELLS", help="Cells of both states.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .csv file to write.")],
    checkpoint: Annotated[
        Path, typer.Option("--checkpoint", "-c", help="Folder that `scm perturb` trained.")
    ],
    target: Annotated[str, typer.Option("--target", help="State of the cells to reach.")],
    source: Annotated[
        str | None, typer.Option("--source", help="State of the cells to begin with.")
    ] = None,
    state_key: Annotated[
        str | None, typer.Option("--state-key", "-k", help="Column of obs with the states.")
    ] = None,
    candidates: Annotated[
        str | None,
        typer.Option("--candidates", help="What to rank: all, or a file with a name a line."),
    ] = None,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Rank every pair of the candidates too.")
    ] = False,
    layer: Layer = None,
    seed: Seed = None,
    params: Params = None,
    force: Force = False,
    verbose: Verbose = False,
) -> None:
    """Rank perturbations by how near they bring cells to a state.

    scm reverse CELLS --target STATE -c OUT.scm/checkpoint -o RANKING.csv

    Writes RANKING.csv (a line a candidate: rank, score, probability, the genes
    that drive it) and the folder RANKING.scm with report.html, metrics.json and
    figures. The checkpoint is one that `scm perturb` trained.
    """
    with told_once():
        from sc_mamba2.commands.results import show_results
        from sc_mamba2.runs.logs import set_logging
        from sc_mamba2.runs.selection import Selection, given_params
        from sc_mamba2.runs.verbs import run_verb

        set_logging(verbose)
        chosen: dict[str, Any] = {
            "input": cells,
            "checkpoint": str(checkpoint.resolve()),
            "reverse_perturbation.states.state_key": state_key,
            "reverse_perturbation.states.source": source,
            "reverse_perturbation.states.target": target,
            "reverse_perturbation.candidates.candidates": (
                candidates if candidates == "all" else from_here(candidates)
            ),
            "reverse_perturbation.candidates.pairs": pairs or None,
            "ingestion.layer": layer,
            "compute.seed": seed,
        }
        selection = Selection(
            pipelines=("reverse_perturbation",), params=given_params(chosen, params)
        )
        result = "reverse_perturbation.ranking"
        kept = run_verb(selection, output, "reverse_perturbation", result, force, ".csv")
        places = {"ranking": kept.output, "report": kept.folder / "report.html"}
        show_results(kept.folder / "metrics.json", places)
