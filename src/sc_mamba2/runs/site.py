"""The project's Kedro-Viz graph as a static site without external requests, and its server.

Kedro-Viz's own server and page request fonts and the newest version, and may contain a tracker; its
static build lacks one response and exits with code 0 on failure. So the site is built here, from the
parts of the package that only read the project.
"""

import errno
import functools
import http.server
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_folder
from sc_mamba2.runs.logs import apply_logging
from sc_mamba2.runs.project import PACKAGE

_OUTSIDE = re.compile(r"<link\b[^>]*https?://[^>]*>")
_POLICY = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'self\'; '
    "script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:\">"
)

FIRST = "annotation"  # the pipeline that is shown first
# Kedro-Viz greets new users with a tour of six boxes that hide the graph; its settings can reopen it.
_NO_TOUR = """\
if (localStorage.getItem("KedroViz") === null)
  localStorage.setItem("KedroViz", '{"showFeatureHints": false}');
"""


def build_site(project: Path, folder: Path, pipeline: str | None = None) -> None:
    """Write the graph of a project as a static site, atomically.

    Parameters
    ----------
    project, folder
        Folders of the project and of the site; an older site is replaced.
    pipeline
        The pipeline to show; ``None``: all, starting with `FIRST`.
    """
    import sc_mamba2.runs.kedro_project  # noqa: F401  # first, since Kedro logs on import

    apply_logging()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Kedro and the web framework
        with atomic_folder(folder) as draft:
            _write_responses(project, draft, pipeline)
            _write_pages(draft)


def _write_responses(project: Path, draft: Path, pipeline: str | None) -> None:
    """Write the API responses that the page requests, one file each."""
    import fsspec
    from kedro_viz.api.rest.responses.metadata import (
        MetadataAPIResponse,
        get_package_compatibilities,
    )
    from kedro_viz.api.rest.responses.save_responses import (
        save_api_responses_to_fs,
        write_api_response_to_fs,
    )
    from kedro_viz.server import load_and_populate_data

    names = {"package_name": PACKAGE, "pipeline_name": pipeline}
    load_and_populate_data(project, include_hooks=True, **names)
    disk = fsspec.filesystem("file")
    save_api_responses_to_fs(str(draft), disk, is_all_previews_enabled=True)
    # Missing in Kedro-Viz's own static build, whose page logs an error on the console.
    facts = MetadataAPIResponse(package_compatibilities=get_package_compatibilities())
    write_api_response_to_fs(str(draft / "api" / "metadata"), facts, disk)
    if pipeline is None:  # the first response that the page requests
        shutil.copy(draft / "api" / "pipelines" / FIRST, draft / "api" / "main")
    # Remove local paths, since a site may be published.
    for response in (draft / "api" / "nodes").iterdir():
        text = response.read_text(encoding="utf-8")
        response.write_text(text.replace(f"{project}/", ""), encoding="utf-8")


def _write_pages(draft: Path) -> None:
    """Copy the page with its scripts, without external links."""
    import kedro_viz

    source = Path(kedro_viz.__file__).parent / "html"
    shutil.copytree(source / "assets", draft / "assets")
    shutil.copy(source / "favicon.ico", draft)
    page = _OUTSIDE.sub("", (source / "index.html").read_text(encoding="utf-8"))
    (draft / "no_tour.js").write_text(_NO_TOUR, encoding="utf-8")
    page = page.replace("<head>", f'<head>{_POLICY}<script src="./no_tour.js"></script>', 1)
    (draft / "index.html").write_text(page, encoding="utf-8")


def site_server(folder: Path, port: int) -> AbstractContextManager[http.server.ThreadingHTTPServer]:
    """Return a `local_server` of a static site."""
    return local_server(functools.partial(_QuietHandler, directory=str(folder)), port)


@contextmanager
def local_server(
    handler: Callable[..., http.server.BaseHTTPRequestHandler], port: int
) -> Iterator[http.server.ThreadingHTTPServer]:
    """Yield a server on localhost, not yet running; port 0 takes a free one.

    Raises
    ------
    UserError
        Rule ``port-taken``.
    """
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise
        raise UserError(
            "port-taken",
            found=f"port {port} is in use, or not permitted",
            expected="a free port",
            mend="choose another: --port 4242",
        ) from error
    with server:
        yield server


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Do not log requests."""
