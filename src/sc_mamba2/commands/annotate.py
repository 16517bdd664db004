"""`scm annotate`: cell types for a query, from a labelled reference or a trained checkpoint."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from sc_mamba2.commands.options import contradiction
from sc_mamba2.commands.task_verb import Given, run_task
from sc_mamba2.tasks.table import TASKS


def annotate(given: Given) -> None:
    """Give every cell a type.

    scm annotate QUERY --reference REF --label-key KEY --output OUT.h5ad

    scm annotate QUERY -r REF -k KEY --start scm-tiny --fit prototypes -o OUT.h5ad

    scm annotate QUERY --checkpoint OUT.scm/checkpoint --output AGAIN.h5ad

    Writes OUT.h5ad (the query with scm_cell_type, its confidence, X_scm, …) and
    the folder OUT.scm with report.html, metrics.json, figures and the reusable
    checkpoint.
    """
    key = "annotation.labels.query_key" if given.checkpoint else "annotation.labels.key"
    more: dict[str, Any] = {} if given.label_key is None else {key: given.label_key}
    if given.start:
        more["tokenization.variable_genes"] = None
    pipeline = _pipeline(given)
    with _blocks(given) as blocks:
        more |= {} if blocks is None else {"annotation.launch.blocks": str(blocks)}
        run_task(TASKS["annotate"], pipeline, given, more)


def _blocks(given: Given) -> AbstractContextManager[Path | None]:
    """Return a context with the folder that other processes write to, or with `None`."""
    from sc_mamba2.runs.verbs import resumable_folder

    alone = given.nproc in (None, 1) and given.dask is None
    return nullcontext() if alone else resumable_folder(given.output)


def _pipeline(given: Given) -> str:
    """Choose the pipeline; raise for contradicting options."""
    if given.checkpoint:
        if given.query is None:
            raise contradiction(
                "--checkpoint without a query", "cells to annotate", "give the QUERY file"
            )
        return "annotation_predict"
    if given.reference is None:
        raise contradiction(
            "neither --reference nor --checkpoint",
            "labelled cells to learn from, or a trained folder",
            "add --reference REF --label-key KEY, or --checkpoint FOLDER",
        )
    if given.label_key is None:
        raise contradiction(
            "--reference without --label-key",
            "the column of obs with the cell types",
            "add --label-key KEY; `scm validate REF` lists the columns",
        )
    return "annotation_query" if given.query else "annotation"
