"""`scm run`: run a selection of the project's pipelines, like `kedro run`."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from sc_mamba2.commands.mode import mode
from sc_mamba2.commands.options import Verbose, forced_path, resolve_source
from sc_mamba2.errors import UserError
from sc_mamba2.tasks.shared.row import COMPUTING

Name, Names = str | None, list[str] | None
_part = partial(typer.Option, rich_help_panel="Part of the graph")
_kedro = partial(typer.Option, rich_help_panel="Kedro")
_computing = partial(typer.Option, rich_help_panel=COMPUTING)


def run(
    pipeline: Annotated[
        Names, typer.Option("--pipeline", "-p", help="Pipeline to run; separate several by commas.")
    ] = None,
    env: Annotated[
        Name, typer.Option("--env", "-e", help="Environment of conf/: test, gpu or local.")
    ] = None,
    input_: Annotated[
        Name, typer.Option("--input", "-i", help="Cells to train on: a file or a named source.")
    ] = None,
    params: Annotated[
        Names, typer.Option(help="Any parameter, as its.name=value; separate several by commas.")
    ] = None,
    nodes: Annotated[Names, _part("--nodes", "-n", help="Run only these nodes.")] = None,
    tags: Annotated[
        Names, _part("--tags", "-t", help="Run only nodes with one of these tags.")
    ] = None,
    namespaces: Annotated[
        Names, _part("--namespaces", "-ns", help="Run only nodes of these namespaces.")
    ] = None,
    from_nodes: Annotated[Names, _part(help="Start at these nodes.")] = None,
    to_nodes: Annotated[Names, _part(help="End at these nodes.")] = None,
    from_inputs: Annotated[Names, _part(help="Start at these datasets.")] = None,
    to_outputs: Annotated[Names, _part(help="End at these datasets.")] = None,
    runner: Annotated[
        Name,
        _kedro("--runner", "-r", help="How nodes run: SequentialRunner, ThreadRunner or another."),
    ] = None,
    load_versions: Annotated[
        Names, _kedro(help="Versions to load, as dataset:version; separate several by commas.")
    ] = None,
    only_missing_outputs: Annotated[
        bool, _part("--only-missing-outputs", help="Skip nodes whose outputs exist.")
    ] = False,
    conf_source: Annotated[Name, _kedro(help="Configuration folder, instead of conf/.")] = None,
    scan_path: Annotated[
        Name, _computing(help="How to scan: auto, reference, blocked or kernels.")
    ] = None,
    require_kernels: Annotated[
        bool, _computing("--require-kernels", help="Stop unless the GPU kernels run.")
    ] = False,
    deterministic: Annotated[
        bool,
        _computing(
            "--deterministic",
            help="Use one thread: a seed gives the same result with any number of cores.",
        ),
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Run pipelines of this project, as `kedro run` does.

    scm run --pipeline annotation --env test

    scm run -p annotation -i REF.h5ad --params annotation.labels.key=KEY

    Prints the kedro line that does the same. Without a pipeline it stops before
    any training.
    """
    from sc_mamba2.commands.results import show_results
    from sc_mamba2.runs.logs import set_logging
    from sc_mamba2.runs.preflight import check_project_run
    from sc_mamba2.runs.project import find_project
    from sc_mamba2.runs.selection import Selection, given_params

    path = forced_path(scan_path, require_kernels)
    chosen = {"input": resolve_source(input_), "compute.scan_path": path}
    chosen["compute.deterministic"] = deterministic or None
    selection = Selection(
        pipelines=_split(pipeline),
        env=env,
        params=given_params(chosen, params),
        node_names=_split(nodes),
        tags=_split(tags),
        namespaces=_split(namespaces),
        from_nodes=_split(from_nodes),
        to_nodes=_split(to_nodes),
        from_inputs=_split(from_inputs),
        to_outputs=_split(to_outputs),
        runner=runner,
        load_versions=_versions(load_versions),
        only_missing_outputs=only_missing_outputs,
        conf_source=conf_source,
    )
    project = find_project(Path.cwd())
    set_logging(verbose)
    if not mode().quiet:
        typer.echo(selection.kedro_line(), err=True)
    check_project_run(selection, project)
    from sc_mamba2.runs.session import run_in_project

    written = run_in_project(selection, project).written
    metrics = next((path for name, path in written.items() if name.endswith(".metrics")), Path())
    results = {
        name.rpartition(".")[2]: path
        for name, path in written.items()
        if name.endswith((".report", ".annotated"))
    }
    show_results(metrics, results or {"wrote": project / "data"})


def _split(values: Names) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, ",".join(values or []).split(","))))


def _versions(values: Names) -> dict[str, str]:
    pairs = [value.partition(":") for value in _split(values)]
    if not all(name and version for name, _, version in pairs):
        raise UserError(
            "load-versions",
            found=f"--load-versions {','.join(values or [])}",
            expected="dataset:version",
            mend="write the dataset, a colon and the version",
        )
    return {name: version for name, _, version in pairs}
