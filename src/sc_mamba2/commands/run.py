"""`scm run`: a selection of the project's pipelines, as `kedro run` has it."""

from pathlib import Path
from typing import Annotated

import typer

from sc_mamba2.commands.answer import mode
from sc_mamba2.commands.errors import told_once
from sc_mamba2.commands.options import RequireKernels, ScanPath, Verbose, forced_path, from_here
from sc_mamba2.errors import UserError

PART, KEDRO = "A part of the graph", "Kedro"


def run(
    pipeline: Annotated[
        list[str] | None,
        typer.Option("--pipeline", "-p", help="Pipeline to run; several by commas."),
    ] = None,
    env: Annotated[
        str | None, typer.Option("--env", "-e", help="Environment of conf/: test, gpu or local.")
    ] = None,
    input_: Annotated[
        str | None,
        typer.Option("--input", "-i", help="Cells to learn from: a file or a named source."),
    ] = None,
    params: Annotated[
        list[str] | None,
        typer.Option("--params", help="Any parameter, as name.of.it=value; several by commas."),
    ] = None,
    nodes: Annotated[
        list[str] | None,
        typer.Option("--nodes", "-n", help="Run only these nodes.", rich_help_panel=PART),
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            "--tags", "-t", help="Run only nodes with one of these tags.", rich_help_panel=PART
        ),
    ] = None,
    namespaces: Annotated[
        list[str] | None,
        typer.Option(
            "--namespaces", "-ns", help="Run only nodes of these namespaces.", rich_help_panel=PART
        ),
    ] = None,
    from_nodes: Annotated[
        list[str] | None, typer.Option(help="Start at these nodes.", rich_help_panel=PART)
    ] = None,
    to_nodes: Annotated[
        list[str] | None, typer.Option(help="End at these nodes.", rich_help_panel=PART)
    ] = None,
    from_inputs: Annotated[
        list[str] | None, typer.Option(help="Start at these datasets.", rich_help_panel=PART)
    ] = None,
    to_outputs: Annotated[
        list[str] | None, typer.Option(help="End at these datasets.", rich_help_panel=PART)
    ] = None,
    runner: Annotated[
        str | None,
        typer.Option(
            "--runner",
            "-r",
            help="How nodes run: SequentialRunner, ThreadRunner or another.",
            rich_help_panel=KEDRO,
        ),
    ] = None,
    load_versions: Annotated[
        list[str] | None,
        typer.Option(
            "--load-versions",
            help="Versions to load, as dataset:version; several by commas.",
            rich_help_panel=KEDRO,
        ),
    ] = None,
    only_missing_outputs: Annotated[
        bool,
        typer.Option(
            "--only-missing-outputs",
            help="Skip nodes whose outputs are there.",
            rich_help_panel=PART,
        ),
    ] = False,
    conf_source: Annotated[
        str | None,
        typer.Option(help="Folder of configuration, in the place of conf/.", rich_help_panel=KEDRO),
    ] = None,
    scan_path: ScanPath = None,
    require_kernels: RequireKernels = False,
    verbose: Verbose = False,
) -> None:
    """Run pipelines of this project, as `kedro run` does.

    scm run --pipeline annotation --env test

    scm run -p annotation -i REF.h5ad --params annotation.labels.key=KEY

    Prints the kedro line that does the same. Without a pipeline it stops before
    any training.
    """
    with told_once():
        from sc_mamba2.commands.results import show_results
        from sc_mamba2.runs.logs import set_logging
        from sc_mamba2.runs.selection import Selection, given_params
        from sc_mamba2.runs.session import find_project, run_in_project

        path = forced_path(scan_path, require_kernels)
        chosen = {"input": from_here(input_), "compute.scan_path": path}
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
        written = run_in_project(selection, project).written
        metrics = next((path for name, path in written.items() if name.endswith(".metrics")), None)
        people = {
            n.rsplit(".", 1)[-1]: p
            for n, p in written.items()
            if n.endswith((".report", ".annotated"))
        }
        show_results(metrics or Path(), people or {"wrote": project / "data"})


def _split(values: list[str] | None) -> tuple[str, ...]:
    return tuple(
        name.strip() for value in values or [] for name in value.split(",") if name.strip()
    )


def _versions(values: list[str] | None) -> dict[str, str]:
    pairs = [value.partition(":") for value in _split(values)]
    if not all(name and version for name, _, version in pairs):
        raise UserError(
            "load-versions",
            found=f"--load-versions {','.join(values or [])}",
            expected="dataset:version",
            mend="write the dataset, a colon and the version",
        )
    return {name: version for name, _, version in pairs}
