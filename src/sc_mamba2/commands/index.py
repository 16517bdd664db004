"""`scm index`: an index of labelled, embedded reference cells."""

from pathlib import Path

from sc_mamba2.commands.task_verb import Given, select
from sc_mamba2.tasks.embedding.task import INDEX


def index(given: Given) -> None:
    """Make an index of a labelled reference.

    scm index REF.h5ad --label-key KEY --output INDEX

    scm embed QUERY.h5ad --index INDEX --output OUT.h5ad
    """
    from sc_mamba2.commands.results import show_results
    from sc_mamba2.runs.verbs import resumable_folder, run_for

    with resumable_folder(given.output) as blocks:
        more = {"embedding.source.blocks": str(blocks)}
        selection = select(INDEX, "embedding_index", given, more)
        kept = run_for(selection, given.output, "embedding.index", "index.json", given.force)
    show_results(Path(), {"index": kept})
