"""`scm viz`: the graph of the project's pipelines in a browser, or as a static site."""

from pathlib import Path
from typing import Annotated

import typer

from sc_mamba2.commands.output import user_errors
from sc_mamba2.errors import UserError


@user_errors()
def viz(
    build: Annotated[
        bool, typer.Option("--build", help="Write a static site to build/viz/ instead.")
    ] = False,
    pipeline: Annotated[
        str | None, typer.Option("--pipeline", "-p", help="Show only this pipeline.")
    ] = None,
    port: Annotated[
        int, typer.Option(help="Port of the local server; 0: any free port.", min=0, max=65535)
    ] = 4141,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open a browser.")
    ] = False,
) -> None:
    """Show the pipelines with Kedro-Viz; nothing is asked of the network."""
    from importlib.util import find_spec

    from sc_mamba2.runs.preflight import check_names
    from sc_mamba2.runs.project import find_project
    from sc_mamba2.runs.selection import Selection

    if find_spec("kedro_viz") is None:
        raise UserError(
            "viz-missing",
            found="kedro-viz is not installed",
            expected="the extra `viz`",
            mend="pip install 'sc-mamba2[viz]'",
        )
    project = find_project(Path.cwd())
    check_names(Selection(pipelines=(pipeline,) if pipeline else ()))
    if build:
        from sc_mamba2.runs.site import build_site

        site = project / "build" / "viz"
        build_site(project, site, pipeline)
        typer.echo(f"site: {site}")
    else:
        _serve(project, pipeline, port, no_browser)


def _serve(project: Path, pipeline: str | None, port: int, no_browser: bool) -> None:
    """Serve a site of the project in its current state, until interrupted."""
    import tempfile
    import webbrowser

    from sc_mamba2.runs.site import build_site, site_server

    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "viz"
        with site_server(site, port) as server:  # first, so that a taken port fails at once
            build_site(project, site, pipeline)
            address = f"http://127.0.0.1:{server.server_port}/"
            typer.echo(f"graph: {address} (Ctrl-C ends it)")
            if not no_browser:
                webbrowser.open(address)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                typer.echo("ended")
