"""`scm pretrain`: make a corpus of tokens from files, and pretrain a model on it; resumable."""

import json
from pathlib import Path

from sc_mamba2.commands.options import resolve_source
from sc_mamba2.commands.task_verb import Given, select
from sc_mamba2.tasks.table import PRETRAIN


def pretrain(given: Given) -> None:
    """Pretrain a model on cells without labels, in this project.

    scm pretrain 'cells/*.h5ad' --preset tiny --steps 2000

    The same command goes on where an interrupted run stopped. It is the pipeline
    `pretraining`: corpus, run folder and all options stand in
    conf/base/parameters/pretraining.yml.
    """
    from sc_mamba2.commands.results import show_results
    from sc_mamba2.runs.preflight import check_project_run
    from sc_mamba2.runs.project import find_project

    sources = [resolve_source(one) for one in given.sources or []]
    more = {"pretraining.corpus.sources": sources} if sources else {}
    selection = select(PRETRAIN, "pretraining", given, more)
    project = find_project(Path.cwd())
    check_project_run(selection, project)
    from sc_mamba2.runs.session import run_in_project

    written = run_in_project(selection, project).written
    metrics = written["pretraining.metrics"]
    places = {name.rsplit(".", 1)[-1]: path for name, path in written.items()}
    if metrics.is_file():  # not in a dry run
        model = Path(json.loads(metrics.read_text(encoding="utf-8"))["checkpoint"])
        places = {"model": model} | places
    show_results(metrics, places)
