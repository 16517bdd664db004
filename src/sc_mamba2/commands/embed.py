"""`scm embed`: cell vectors of a file of any size; types from an index; gene vectors."""

from pathlib import Path

from sc_mamba2.commands.options import contradiction
from sc_mamba2.commands.task_verb import Given, select
from sc_mamba2.tasks.table import TASKS

_TASK = TASKS["embed"]


def embed(given: Given) -> None:
    """Give every cell a vector, without training.

    scm embed FILE --output OUT.h5ad

    scm embed QUERY --index INDEX --output OUT.h5ad

    scm embed --genes GENES.parquet

    Writes OUT.h5ad, or OUT.zarr (the cells with X_scm; with an index also
    types), and the folder OUT.scm with report.html, metrics.json and figures.
    A run that was killed goes on with the same command.
    """
    from sc_mamba2.commands.results import show_results
    from sc_mamba2.runs.verbs import resumable_folder, run_for, run_verb

    _refuse_contradictions(given)
    places, metrics = {}, Path()
    if given.genes is not None:
        selection = select(_TASK, "embedding_genes", given)
        places["genes"] = run_for(
            selection, given.genes, "embedding.genes", ".parquet", given.force
        )
    if given.output is not None:
        name = "embedding" if given.index is None else "embedding_mapping"
        with resumable_folder(given.output) as blocks:
            suffix = ".zarr" if given.output.suffix == ".zarr" else _TASK.suffix
            more = {"embedding.source.blocks": str(blocks), "embedded_suffix": suffix}
            result = "embedding", "embedding.embedded"
            selection = select(_TASK, name, given, more)
            kept = run_verb(selection, given.output, *result, given.force, suffix)
        metrics = kept.folder / "metrics.json"
        places |= {"cells": kept.output, "report": kept.folder / "report.html"}
    show_results(metrics, places)


def _refuse_contradictions(given: Given) -> None:
    """Raise rule ``options`` for contradicting options."""
    found, mend = None, "give the FILE of cells and --output OUT.h5ad"
    if (given.cells is None) != (given.output is None):
        found = "cells without an --output" if given.output is None else "an --output without cells"
    elif given.cells is None and given.genes is None:
        found = "neither cells nor --genes"
    elif given.cells is None and given.index is not None:
        found = "an --index without cells"
    if found is not None:
        expected = "a file of cells and where to write it, or --genes GENES.parquet"
        raise contradiction(found, expected, mend)
