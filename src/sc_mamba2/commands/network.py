"""`scm network`: gene regulation scored by correlation, in-silico knock-outs and embeddings."""

from sc_mamba2.commands.options import resolve_names
from sc_mamba2.commands.task_verb import Given, run_task
from sc_mamba2.tasks.table import TASKS


def network(given: Given) -> None:
    """Score which genes regulate which, without training.

    scm network FILE --output OUT.csv

    scm network FILE --genes STAT1,IRF7 --reference-network KNOWN.csv -o OUT.csv

    Regulators are the expressed transcription factors, unless --genes names
    others; a reference network judges the edges, and is not needed.

    Writes OUT.csv (a line an edge) and the folder OUT.scm with network.graphml,
    modules.csv, report.html, metrics.json and figures.
    """
    more = {"gene_network.genes.regulators": resolve_names(given.genes)} if given.genes else {}
    run_task(TASKS["network"], "gene_network", given, more)
