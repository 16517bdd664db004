"""`scm pretrain`: files become a corpus of tokens, tokens a pretrained model; killed, it goes on."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sc_mamba2.commands.errors import told_once
from sc_mamba2.commands.options import (
    Device,
    Params,
    RequireKernels,
    ScanPath,
    Seed,
    Verbose,
    forced_path,
    from_here,
)


def pretrain(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE", help="Files, folders, globs, lists; else the project's input."
        ),
    ] = None,
    env: Annotated[
        str | None, typer.Option("--env", "-e", help="Environment of conf/: test, gpu or local.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Folder of the run; else the one of conf/.")
    ] = None,
    nproc: Annotated[
        int | None, typer.Option("--nproc", help="Processes of this machine that train together.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps.")] = None,
    preset: Annotated[
        str | None, typer.Option(help="Shape of the model: micro, tiny, small or base.")
    ] = None,
    device: Device = None,
    scan_path: ScanPath = None,
    require_kernels: RequireKernels = False,
    seed: Seed = None,
    params: Params = None,
    verbose: Verbose = False,
) -> None:
    """Pretrain a model on cells without labels, in this project.

    scm pretrain 'cells/*.h5ad' --preset tiny --steps 2000

    The same command goes on where an interrupted run stopped. It is the pipeline
    `pretraining`: corpus, run folder and all options stand in
    conf/base/parameters/pretraining.yml.
    """
    with told_once():
        from sc_mamba2.commands.results import show_results
        from sc_mamba2.runs.logs import set_logging
        from sc_mamba2.runs.selection import Selection, given_params
        from sc_mamba2.runs.session import find_project, run_in_project

        set_logging(verbose)
        chosen: dict[str, Any] = {
            "pretraining.corpus.sources": [from_here(one) for one in sources or []] or None,
            "pretraining.launch.run": None if run is None else from_here(str(run)),
            "pretraining.launch.processes": nproc,
            "pretraining.training.steps": steps,
            "pretraining.shape.preset": preset,
            "compute.device": device,
            "compute.scan_path": forced_path(scan_path, require_kernels),
            "compute.seed": seed,
        }
        selection = Selection(
            pipelines=("pretraining",), env=env, params=given_params(chosen, params)
        )
        project = find_project(Path.cwd())
        written = run_in_project(selection, project).written
        places = {name.rsplit(".", 1)[-1]: path for name, path in written.items()}
        show_results(written["pretraining.metrics"], places)
