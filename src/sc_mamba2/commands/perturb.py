"""`scm perturb`: predicted expression of perturbed cells, trained on measured ones or by a checkpoint."""

from sc_mamba2.commands.options import contradiction
from sc_mamba2.commands.task_verb import Given, run_task
from sc_mamba2.tasks.table import TASKS


def perturb(given: Given) -> None:
    """Predict what a perturbation does to cells.

    scm perturb CELLS --perturbation GENE --output OUT.h5ad

    scm perturb CONTROLS -p GENE+GENE -c OUT.scm/checkpoint -o MORE.h5ad

    Writes OUT.h5ad (the control cells with the layer scm_predicted) and the
    folder OUT.scm with report.html, metrics.json, genes.csv, figures and the
    reusable checkpoint.
    """
    if given.perturbation is None:
        raise contradiction(
            "no --perturbation",
            "the perturbation to predict: a gene, a compound, or several joined by '+'",
            "add --perturbation NAME",
        )
    pipeline = "perturbation_predict" if given.checkpoint else "perturbation"
    run_task(TASKS["perturb"], pipeline, given)
