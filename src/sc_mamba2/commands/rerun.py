"""`scm rerun`: repeat a run of this project, and compare the results."""

from pathlib import Path
from typing import Annotated

import typer

from sc_mamba2.commands.options import Verbose

DIFFERS = 1
_UNSCORED = "ended well; it scores nothing, so there is nothing to compare"


def rerun(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="An id from `scm runs`, the beginning of one, or latest."
        ),
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Continue even if the code or the data changed.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Repeat a run: same parameters, same data, same code.

    Says "equal", or what differs from the first time, with exit code 1.
    """
    from sc_mamba2.commands.results import print_brief
    from sc_mamba2.commands.run_tables import show_comparison
    from sc_mamba2.runs.logs import set_logging
    from sc_mamba2.runs.project import find_project
    from sc_mamba2.runs.records import find_run

    set_logging(verbose)
    project = find_project(Path.cwd())
    record = find_run(project, run)
    from sc_mamba2.runs import rerun as repeating

    done = repeating.rerun(record, project, force)
    new, comparison = done.run.run_id, done.comparison
    facts = {"run": new, "repeats": record.run_id, "equal": done.equal}
    if print_brief(facts | {"comparison": comparison.model_dump(mode="json")}, [new]):
        pass
    elif done.equal:
        count = comparison.equal_scores
        typer.echo(f"run:   {new}, repeats {record.run_id}")
        typer.echo(f"equal: {count} scores, to the last digit" if count else _UNSCORED)
        for kind in ("data", "code"):
            if getattr(comparison, kind):
                typer.echo(f"but:   not the same {kind}; scm compare {record.run_id} latest")
    else:
        show_comparison(comparison)
        typer.echo("NOT equal")
    raise typer.Exit(0 if done.equal else DIFFERS)
