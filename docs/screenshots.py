"""Make the pictures of report, Kedro-Viz and `scm explore` that the pages show: docs/images/screen_*.png.

    python docs/screenshots.py

It shows what the last annotation of this project wrote, and runs one first where there is none. It needs
the extras `dev` and `viz`, and Chromium.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]
GENE = "CST3"
ANNOTATED = PROJECT / "data" / "07_model_output" / "annotation" / "annotated.h5ad"
IMAGES = (
    "screen_report_light.png",
    "screen_report_dark.png",
    "screen_kedro_viz.png",
    "screen_report_map.png",
    "screen_explore.png",
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WINDOW = {"width": 1280, "height": 1270}


def chromium_program() -> str | None:
    """Return the path of Chromium, or `None`."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def chromium() -> Iterator[Any]:
    """Give a headless Chromium that is on the path."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_program(), args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def served(site: Path) -> Iterator[str]:
    """Serve a site while the block runs; give its address."""
    from sc_mamba2.runs.site import site_server

    with site_server(site, port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@contextmanager
def explored(cells: Path) -> Iterator[tuple[str, str]]:
    """Let `scm explore` serve cells while the block runs; give its address, and a gene of theirs."""
    from sc_mamba2.runs.explored import ExploredCells
    from sc_mamba2.runs.explorer import explorer

    output = cells.with_suffix(".explored.h5ad")
    with explorer(0, lambda: ExploredCells(cells, output)) as (server, there, address):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield address, GENE if GENE in there.genes else there.genes[0]
        server.shutdown()


def open_graph(page: Any, address: str, pipeline: str) -> None:
    """Open a pipeline's graph and wait until it is drawn."""
    node = page.locator(".pipeline-node").first
    page.goto(f"{address}?pid={pipeline}")
    node.wait_for()


def main() -> None:
    """Write the pictures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--output", type=Path, default=PROJECT / "docs" / "images")
    output = arguments.parse_args().output
    if chromium_program() is None:
        sys.exit("Chromium is not on the path: install it (Debian: apt-get install chromium)")
    output.mkdir(parents=True, exist_ok=True)
    report = PROJECT / "data" / "08_reporting" / "annotation" / "report.html"
    if not report.exists():
        _scm("run", "--pipeline", "annotation", "--quiet")
    _scm("viz", "--build")
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        for scheme, name in zip(("light", "dark"), IMAGES, strict=False):
            page = browser.new_page(viewport=WINDOW, color_scheme=scheme)
            page.goto(report.as_uri())
            page.screenshot(path=Path(folder) / name)
            if scheme == "light":
                _point_at_a_cell(page)
                page.locator(".map").screenshot(path=Path(folder) / IMAGES[3])
        with explored(ANNOTATED) as (address, gene):
            page = browser.new_page(viewport={"width": 1280, "height": 1150})
            page.goto(address)
            _select_cells(page, gene)
            page.screenshot(path=Path(folder) / IMAGES[4])
        with served(PROJECT / "build" / "viz") as address:
            page = browser.new_page(viewport={"width": 1600, "height": 900})
            open_graph(page, address, "annotation")
            page.locator(".pipeline-node", has_text="annotation.annotated").click()
            page.locator(".pipeline-metadata table").wait_for()
            page.wait_for_timeout(1500)  # it glides into its place
            page.screenshot(path=Path(folder) / IMAGES[2])
        for name in IMAGES:
            shutil.move(Path(folder) / name, output / name)


def _point_at_a_cell(page: Any) -> None:
    """Move over the map of a report until a cell is named."""
    canvas, tip = page.locator(".map canvas"), page.locator(".map-tip")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    for x in range(int(box["width"] / 4), int(box["width"]), 12):
        for share in (0.4, 0.6, 0.8):
            canvas.hover(position={"x": x, "y": share * box["height"]})
            if tip.is_visible():
                return


def _select_cells(page: Any, gene: str) -> None:
    """Colour explored cells by a gene and draw around some."""
    page.locator(".map-count", has_text="of").wait_for()
    page.get_by_label("Column or gene").fill(gene)
    page.keyboard.press("Enter")
    page.locator("#said", has_text=f"{gene}:").wait_for()
    page.get_by_role("button", name="Draw around cells").click()
    box = page.locator(".map canvas").bounding_box()
    ring = [(0.76, 0.5), (0.84, 0.47), (0.995, 0.46), (0.995, 0.62), (0.95, 0.7), (0.85, 0.71)]
    for at, (x, y) in enumerate([*ring, ring[0]]):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        if at == 0:
            page.mouse.down()
    page.mouse.up()


def _scm(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "sc_mamba2", *words], cwd=PROJECT, check=True)


if __name__ == "__main__":
    main()
