"""The project's graph by Kedro-Viz as a static site that asks nobody for anything, and its server.

Kedro-Viz's own server and page ask for fonts, for the newest version, and may carry a counter; its
static build lacks one answer and ends with code 0 when it fails. So the site is put together here,
from the parts of the package that only read the project.
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

FIRST = "annotation"  # of all pipelines, the one that is shown first
# Kedro-Viz greets who comes first with a tour of six boxes that hide the graph; its settings have it again.
_NO_TOUR = """\
if (localStorage.getItem("KedroViz") === null)
  localStorage.setItem("KedroViz", '{"showFeatureHints": false}');
"""


def build_site(project: Path, folder: Path, pipeline: str | None = None) -> None:
    """Write the graph of a project as a static site; it appears whole or not at all.

    Parameters
    ----------
    project, folder
        Folders of the project and of the site; an older site is replaced.
    pipeline
        The one to show; ``None``: all, `FIRST` before the others.
    """
    import sc_mamba2.runs.quietly  # noqa: F401  # first: Kedro says on import where its logging is set

    apply_logging()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Kedro's and the web framework's, about themselves
        with atomic_folder(folder) as draft:
            _write_answers(project, draft, pipeline)
            _write_pages(draft)


def _write_answers(project: Path, draft: Path, pipeline: str | None) -> None:
    """Write what the page asks its server for, one file an answer."""
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
    # Kedro-Viz's own static build lacks this one, and its page reports an error on the console.
    facts = MetadataAPIResponse(package_compatibilities=get_package_compatibilities())
    write_api_response_to_fs(str(draft / "api" / "metadata"), facts, disk)
    if pipeline is None:  # the page opens with the answer that it asks for first
        shutil.copy(draft / "api" / "pipelines" / FIRST, draft / "api" / "main")
    # A site travels; where it was made is nobody's.
    for answer in (draft / "api" / "nodes").iterdir():
        text = answer.read_text(encoding="utf-8")
        answer.write_text(text.replace(f"{project}/", ""), encoding="utf-8")


def _write_pages(draft: Path) -> None:
    """Copy the page with its scripts, without what lies elsewhere."""
    import kedro_viz

    source = Path(kedro_viz.__file__).parent / "html"
    shutil.copytree(source / "assets", draft / "assets")
    shutil.copy(source / "favicon.ico", draft)
    page = _OUTSIDE.sub("", (source / "index.html").read_text(encoding="utf-8"))
    (draft / "no_tour.js").write_text(_NO_TOUR, encoding="utf-8")
    page = page.replace("<head>", f'<head>{_POLICY}<script src="./no_tour.js"></script>', 1)
    (draft / "index.html").write_text(page, encoding="utf-8")


def site_server(folder: Path, port: int) -> AbstractContextManager[http.server.ThreadingHTTPServer]:
    """Give a `local_server` of a static site."""
    return local_server(functools.partial(_QuietHandler, directory=str(folder)), port)


@contextmanager
def local_server(
    handler: Callable[..., http.server.BaseHTTPRequestHandler], port: int
) -> Iterator[http.server.ThreadingHTTPServer]:
    """Give a server on this machine alone, not yet running; port 0 takes a free one.

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
        """Say nothing of every request."""
