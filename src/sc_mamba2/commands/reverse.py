"""`scm reverse`: rank the perturbations that bring cells from one state to another, by a checkpoint."""

from sc_mamba2.commands.options import resolve_source
from sc_mamba2.commands.task_verb import Given, run_task
from sc_mamba2.tasks.table import TASKS


def reverse(given: Given) -> None:
    """Rank perturbations by how near they bring cells to a state.

    scm reverse CELLS --target STATE -c OUT.scm/checkpoint -o RANKING.csv

    Writes RANKING.csv (a line a candidate: rank, score, probability, the genes
    that drive it) and the folder RANKING.scm with report.html, metrics.json and
    figures. The checkpoint is one that `scm perturb` trained.
    """
    more = {}
    if given.candidates:
        name = given.candidates
        file = name if name == "all" else resolve_source(name)
        more["reverse_perturbation.candidates.candidates"] = file
    run_task(TASKS["reverse"], "reverse_perturbation", given, more)
