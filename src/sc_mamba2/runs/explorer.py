"""Serve explored cells to a browser on this machine: the page, its columns and genes, and selections.

A request must contain the token in its path and a local host name, so that neither another user of the
machine nor another page in the browser gets an answer.
"""

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sc_mamba2.errors import UserError
from sc_mamba2.reporting import render_explorer
from sc_mamba2.runs.explored import ExploredCells
from sc_mamba2.runs.site import local_server
from sc_mamba2.runs.translate import as_user_error

_MAX_REQUEST_BYTES = 2**28  # bytes of a request
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@contextmanager
def explorer(
    port: int, load: Callable[[], ExploredCells]
) -> Iterator[tuple[ThreadingHTTPServer, ExploredCells, str]]:
    """Yield a server of cells, not yet running, the cells, and the URL with the token.

    Parameters
    ----------
    port
        0 takes a free one.
    load
        Loads the cells once the port is bound; it may be slow.

    Raises
    ------
    UserError
        Rule ``port-taken``, and those of `load`.
    """
    token = secrets.token_urlsafe(24)

    class Handler(_Handler):
        home, lock = f"/{token}/", threading.Lock()

    with local_server(Handler, port) as server:
        Handler.explored = load()
        yield server, Handler.explored, f"http://127.0.0.1:{server.server_port}/{token}/"


class _Handler(BaseHTTPRequestHandler):
    explored: ExploredCells
    home: str
    lock: threading.Lock
    server: ThreadingHTTPServer
    timeout = 60

    def do_GET(self) -> None:
        """Send the page, its cells, a column or a gene."""
        if (request := self._parse_request()) is None:
            return
        what, query = request
        if what == "":
            page = render_explorer(self.explored.source.name)
            self._send(200, page.encode(), "text/html; charset=utf-8")
        elif what == "cells":
            self._send_result(self.explored.page, tuple)
        elif what == "column":
            self._send_result(self.explored.column, lambda: (query["name"][0],))
        elif what == "gene":
            self._send_result(self.explored.gene, lambda: (int(query["at"][0]), query["matrix"][0]))
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        """Save a selection."""
        if (request := self._parse_request()) is None:
            return
        length = int(self.headers.get("Content-Length") or 0)
        if request[0] != "selection" or not 0 < length < _MAX_REQUEST_BYTES:
            self.send_error(404)
        elif self.headers.get("Content-Type") != "application/json":  # HTML forms cannot send it
            self.send_error(415)
        else:
            self._send_result(self.explored.select, lambda: _selection(self.rfile.read(length)))

    def _parse_request(self) -> tuple[str, dict[str, list[str]]] | None:
        """Return path and query of a request; ``None`` after an error for a wrong host or token."""
        url, port = urlsplit(self.path), self.server.server_port
        if self.headers.get("Host") not in (f"127.0.0.1:{port}", f"localhost:{port}"):
            self.send_error(403)
            return None
        if not secrets.compare_digest(url.path[: len(self.home)].encode(), self.home.encode()):
            self.send_error(404)
            return None
        return url.path[len(self.home) :], parse_qs(url.query)

    def _send_result(self, find: Callable[..., Any], given: Callable[[], tuple[Any, ...]]) -> None:
        """Send as JSON the result of `find` for the given arguments, or its user error."""
        try:
            arguments = given()
        except (KeyError, TypeError, ValueError):
            self.send_error(400)
            return
        try:
            with self.lock:
                status, body = 200, find(*arguments)
        except Exception as error:
            known = error if isinstance(error, UserError) else as_user_error(error)
            if known is None:
                raise
            parts = ("rule", "found", "expected", "mend")
            status, body = 400, {name: getattr(known, name) for name in parts}
        self._send(status, json.dumps(body).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Type": kind, "Content-Length": len(body)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Do not log requests."""


def _selection(body: bytes) -> tuple[str, str, list[int]]:
    given = json.loads(body)
    return str(given["name"]).strip(), str(given["value"]).strip(), list(map(int, given["cells"]))
