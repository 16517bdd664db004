"""The graph of the project in Chromium, and the pictures of it and of the report, made again."""

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from docs.screenshots import IMAGES, chromium_program, open_graph, served
from tests.browser import Watch

from sc_mamba2.pipelines.registry import named_pipelines
from sc_mamba2.tasks.table import TASKS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PARTS = ("pyproject.toml", ".telemetry", "conf", "src", "docs")


@pytest.fixture(scope="module")
def project(finished, tmp_path_factory) -> Path:
    """A copy of the project in which an annotation ran."""
    folder = tmp_path_factory.mktemp("clone")
    for part in PARTS:
        take = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        take(ROOT / part, folder / part)
    shutil.copytree(finished.written["annotation.report"].parents[2], folder / "data")
    return folder


@pytest.fixture(scope="module")
def pictured(project) -> Path:
    """The same copy, its pictures deleted and made again by the script, which builds the site too."""
    if not chromium_program():
        pytest.skip("needs Chromium on the path")
    for name in IMAGES:
        (project / "docs" / "images" / name).unlink()
    made = subprocess.run(
        [sys.executable, "docs/screenshots.py"],
        cwd=project,
        env=surroundings(project),
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    # What Kedro says of its logging has a path of the machine in it.
    assert "logging configuration" not in made.stdout + made.stderr
    return project


@pytest.fixture(scope="module")
def site(pictured) -> Path:
    return pictured / "build" / "viz"


@pytest.fixture(scope="module")
def graph(site, browser):
    """Give an open page of the site, and what it has said and asked for."""
    with served(site) as address:
        page = browser.new_page(viewport={"width": 1600, "height": 900})
        watch = Watch(page)
        yield page, watch, address
        page.close()


def surroundings(project: Path) -> dict[str, str]:
    return dict(os.environ) | {"PYTHONPATH": str(project / "src"), "KEDRO_DISABLE_TELEMETRY": "1"}


def answer(site: Path, name: str) -> dict:
    return json.loads((site / "api" / name).read_text("utf-8"))


def node_id(site: Path, name: str) -> str:
    nodes = answer(site, "pipelines/annotation")["nodes"]
    return next(node["id"] for node in nodes if node["name"] == name)


def test_the_script_makes_every_committed_picture_again(pictured):
    for name in IMAGES:
        made = (pictured / "docs" / "images" / name).read_bytes()
        kept = (ROOT / "docs" / "images" / name).read_bytes()
        assert struct.unpack(">2I", made[16:24]) == struct.unpack(">2I", kept[16:24])
        assert len(made) > 20_000  # a blank page is smaller
        assert any(name in page.read_text("utf-8") for page in (ROOT / "docs").glob("*.md"))


def test_every_pipeline_is_drawn_and_nothing_is_asked_elsewhere(graph, site):
    page, watch, address = graph
    open_graph(page, address, "annotation")
    names = named_pipelines().keys()
    assert {pipeline["id"] for pipeline in answer(site, "main")["pipelines"]} == names
    page.locator(".pipeline-list").click()
    assert page.locator(".pipeline-list .menu-option").count() == len(names)
    page.keyboard.press("Escape")
    for name in sorted(names - {"__default__"}):
        page.goto(f"{address}?pid={name}")
        page.locator(".pipeline-node").first.wait_for()
        assert page.locator(".pipeline-node").count() > 1, name
    assert watch.complaints == []
    assert watch.asked_elsewhere(address) == []


def test_the_first_visit_shows_the_layers_and_no_tour(graph):
    page, _, address = graph
    open_graph(page, address, "annotation")
    assert page.locator(".feature-hints").count() == 0
    drawn = page.locator(".pipeline-layer-name").all_inner_texts()
    assert drawn == ["raw", "primary", "model_output", "reporting"]


def test_every_node_has_a_tag_and_every_task_a_namespace(site):
    for path in sorted((site / "api" / "pipelines").iterdir()):
        shown = json.loads(path.read_text("utf-8"))
        for node in shown["nodes"]:
            assert node["type"] != "task" or node["tags"], node["name"]
    for task in TASKS.values():
        shown = answer(site, f"pipelines/{task.pipeline}")
        assert task.pipeline in shown["modular_pipelines"]


def test_no_pipelines_layers_run_in_a_circle_and_every_file_has_one(site):
    for path in sorted((site / "api" / "pipelines").iterdir()):
        shown = json.loads(path.read_text("utf-8"))
        assert shown["layers"], path.name
        for node in shown["nodes"]:
            if node["type"] == "data" and answer(site, f"nodes/{node['id']}").get("filepath"):
                assert node["layer"], node["name"]


def test_a_click_on_cells_shows_the_first_of_them(graph):
    page, watch, address = graph
    open_graph(page, address, "annotation")
    page.locator(".pipeline-node", has_text="annotation.annotated").click()
    shown = page.locator(".pipeline-metadata table")
    shown.wait_for()
    assert "scm_cell_type" in shown.inner_text()
    assert shown.locator("tr").count() == 1 + 5
    assert watch.complaints == []


def test_figures_and_metrics_are_shown_beside_the_graph(graph, site):
    page, watch, address = graph
    page.goto(f"{address}?pid=annotation&sid={node_id(site, 'annotation.figures')}")
    page.locator(".pipeline-metadata img").last.wait_for()
    widths = page.locator(".pipeline-metadata img").evaluate_all(
        "all => all.map(i => i.naturalWidth)"
    )
    assert len(widths) == 4 and min(widths) > 100
    metrics = answer(site, f"nodes/{node_id(site, 'annotation.metrics')}")
    assert metrics["preview_type"] == "JSONPreview" and "baselines" in metrics["preview"]
    assert watch.complaints == []


def test_the_site_tells_nobody_where_it_was_made(site, project):
    for path in (site / "api").rglob("*"):
        assert path.is_dir() or str(project) not in path.read_text("utf-8"), path.name
