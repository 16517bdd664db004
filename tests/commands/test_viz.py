"""`scm viz`: what it serves and until when, what it refuses, and what leaves the machine (nothing)."""

import _thread
import signal
import socket
import threading
import webbrowser
from pathlib import Path
from urllib.request import urlopen

import pytest
from tests.cli import entered, refused

from sc_mamba2.runs import site

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch):
    pytest.importorskip("kedro_viz")
    monkeypatch.chdir(ROOT)


@pytest.fixture
def built(monkeypatch) -> list:
    """Sites that were asked for; a page stands in for them (tests/e2e/test_site.py builds a whole one)."""
    asked = []

    def build(project: Path, folder: Path, pipeline: str | None = None) -> None:
        asked.append((project, folder, pipeline))
        folder.mkdir(parents=True)
        (folder / "index.html").write_text("the graph")

    monkeypatch.setattr(site, "build_site", build)
    return asked


@pytest.fixture
def heard_interrupts():
    """A process that was started in the background ignores them, and would serve for ever."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_it_is_served_to_this_machine_until_it_is_ended(built, heard_interrupts, monkeypatch):
    seen = []

    def read_and_end(address: str) -> None:
        seen.extend([address, urlopen(address).read()])
        _thread.interrupt_main()

    monkeypatch.setattr(
        webbrowser,
        "open",
        lambda address: threading.Thread(target=read_and_end, args=(address,)).start(),
    )
    result = entered("viz", "-p", "ingestion", "--port", "0")
    assert seen[0].startswith("http://127.0.0.1:") and seen[0] in result.output
    assert seen[1] == b"the graph"
    ((project, folder, pipeline),) = built
    assert (project, pipeline) == (ROOT, "ingestion") and not folder.exists()


def test_a_taken_port_is_told_before_anything_is_built(built):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused("viz", "--port", taken.getsockname()[1], rule="port-taken")
    assert built == []


def test_an_unknown_pipeline_is_named_and_nothing_is_written():
    folder = ROOT / "build" / "viz"
    before = folder.exists()
    assert "annotation" in refused("viz", "--build", "-p", "anotation", rule="pipeline-unknown")
    assert folder.exists() == before


def test_the_page_lost_what_lies_elsewhere(tmp_path):
    site._write_pages(tmp_path)
    page = (tmp_path / "index.html").read_text("utf-8")
    assert "://" not in page and "default-src 'self'" in page
    assert not (tmp_path / "telemetry.html").exists()
