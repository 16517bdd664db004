"""A server on loopback that serves what a test puts there, and a project under git and DVC."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sc_mamba2.cells.simulate import simulate_cells
from sc_mamba2.versions.registry import PublicData, Registry


@dataclass
class Site:
    """What lies on the server: by path the status, the bytes, and the length that is declared."""

    address: str
    pages: dict[str, tuple[int, bytes, int]] = field(default_factory=dict)

    def put(self, path: str, content: bytes, status: int = 200, declared: int | None = None) -> str:
        self.pages[path] = (status, content, len(content) if declared is None else declared)
        return self.address + path


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content, declared = site.pages.get(self.path, (404, b"", 0))
            self.send_response(status)
            self.send_header("Content-Length", str(declared))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site = Site(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def cells_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cells") / "cells.h5ad"
    simulate_cells().write_h5ad(path)
    return path


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch):
    """Give a function that makes a data set the only one of the registry."""

    def name_it(name: str, **fields: object) -> None:
        given = {"title": "t", "tasks": ("t",), "comes": "file", "citation": "c"} | fields
        given.setdefault("expected", {"stated": "s"})
        made = Registry(data={name: PublicData(**given)}, checkpoints={})
        monkeypatch.setattr("sc_mamba2.versions.data.registry", lambda: made)

    return name_it


@pytest.fixture(scope="session")
def empty_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder under git and DVC with a remote, once; skip where DVC is not installed."""
    pytest.importorskip("dvc", reason="dvc comes with the development install")
    root = tmp_path_factory.mktemp("template") / "project"
    (root / "data" / "01_raw").mkdir(parents=True)
    for words in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(words, cwd=root, check=True)
    return root


@pytest.fixture
def project(empty_project: Path, tmp_path: Path) -> Path:
    """Give a folder under git and DVC."""
    return Path(shutil.copytree(empty_project, tmp_path / "project"))
