"""`scm integrate`: a batch-corrected embedding of cells, fitted to them or by a checkpoint."""

from sc_mamba2.commands.options import contradiction
from sc_mamba2.commands.task_verb import Given, run_task
from sc_mamba2.tasks.table import TASKS


def integrate(given: Given) -> None:
    """Take the batches out of cells.

    scm integrate CELLS --batch-key KEY --output OUT.h5ad

    scm integrate MORE --checkpoint OUT.scm/checkpoint --output MORE_OUT.h5ad

    Writes OUT.h5ad (the cells with X_scm_corrected) and the folder OUT.scm with
    report.html, metrics.json, figures and the reusable checkpoint.
    """
    if given.checkpoint is None and given.batch_key is None:
        raise contradiction(
            "neither --batch-key nor --checkpoint",
            "the column of obs with the batches, or a trained folder",
            "add --batch-key KEY; `scm validate CELLS` lists the columns",
        )
    # Without --label-key there are no labels, rather than those of the example cells.
    labels = {"batch_correction.keys.label_key": given.label_key}
    pipeline = "batch_correction_predict" if given.checkpoint else "batch_correction"
    run_task(TASKS["integrate"], pipeline, given, labels)
