"""The report of every task in Chromium: quiet, alone, and to be read in the light, the dark, and print.

The scores are those of small simulated runs (report_inputs/); the figures are the largest of each task.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.browser import Watch
from tests.tasks.largest_figures import DRAWERS

from sc_mamba2.datasets import FiguresDataset
from sc_mamba2.reporting.pictures import as_png
from sc_mamba2.tasks.annotation.report import annotation_report
from sc_mamba2.tasks.batch_correction.report import correction_report
from sc_mamba2.tasks.denoising.report import denoising_report
from sc_mamba2.tasks.embedding.report import embedding_report
from sc_mamba2.tasks.gene_network.report import network_report
from sc_mamba2.tasks.multiomics.report import joint_report
from sc_mamba2.tasks.perturbation.report import perturbation_report
from sc_mamba2.tasks.perturbation.reverse.report import ranking_report
from sc_mamba2.tasks.table import TASKS as TABLE

HERE = Path(__file__).parent
TASKS = sorted(task.pipeline for task in TABLE.values())
# Their figures and tables are drawn by the functions of the others.
ALIKE = {"batch_correction", "embedding", "multiomics", "reverse_perturbation"}
EVIL = "<script>alert(1)</script>&<b>T</b>"
# Names that a person's file can hold, and that the report shows.
NAMED = {
    "batch_correction": "first",
    "gene_network": "C1orf174",
    "perturbation": "MEGF6",
    "reverse_perturbation": "ATAD3A",
}
MANY = {f"task.parameter.number.{at}": "a value that is not short" for at in range(300)}
RULES = (HERE / "report_rules.js").read_text("utf-8")


def write_report(task: str, found: dict[str, Any], pictures: dict[str, bytes]) -> str:
    """Write the report of a task as its node does."""
    metrics, parameters = found["metrics"], MANY | {"label": EVIL}
    if task == "annotation":
        return annotation_report(metrics, pictures, parameters)
    if task == "gene_network":
        tables = (pd.DataFrame(found[name]) for name in ("edges", "modules"))
        return network_report(metrics, *tables, pictures, parameters)
    if task == "reverse_perturbation":
        return ranking_report(metrics, pd.DataFrame(found["ranking"]), pictures, parameters)
    simple = {
        "batch_correction": correction_report,
        "denoising": denoising_report,
        "embedding": embedding_report,
        "multiomics": joint_report,
        "perturbation": perturbation_report,
    }
    return simple[task](metrics, pictures, parameters)


@pytest.fixture(
    scope="module",
    params=[pytest.param(t, marks=[pytest.mark.slow] * (t in ALIKE)) for t in TASKS],
)
def report(request, tmp_path_factory) -> Path:
    """The report of a task with its largest figures and with names that are HTML."""
    task, folder = request.param, tmp_path_factory.mktemp(request.param)
    text = (HERE / "report_inputs" / f"{task}.json").read_text("utf-8")
    text = text.replace(f'"{NAMED.get(task, EVIL)}"', json.dumps(EVIL))
    figures = FiguresDataset(str(folder / "figures"))
    figures.save({name: as_png(figure) for name, figure in DRAWERS[task]().items()})
    page = folder / f"{task}.html"
    page.write_text(write_report(task, json.loads(text), figures.load()), encoding="utf-8")
    return page


@pytest.fixture(scope="module")
def watch(report, browser) -> Iterator[Watch]:
    """Open the report, once: colour scheme, medium and width of an open page can be changed."""
    watch = Watch(browser.new_page())
    watch.page.on("dialog", lambda dialog: watch.complaints.append(dialog.message))
    watch.page.goto(report.as_uri())
    yield watch
    watch.page.close()


@pytest.fixture
def opened(watch):
    """Give a function that shows the report in a colour scheme and a width, on a screen."""

    def show(scheme: str = "light", width: int = 1280) -> Watch:
        watch.page.emulate_media(media="screen", color_scheme=scheme)
        watch.page.set_viewport_size({"width": width, "height": 900})
        return watch

    return show


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_it_is_quiet_alone_and_keeps_the_rules(opened, report, scheme, width):
    watch = opened(scheme, width)
    assert watch.complaints == []
    assert watch.asked_elsewhere(report.as_uri()) == []
    assert watch.page.evaluate(RULES) == []


def test_names_are_text(opened, report):
    watch = opened()
    assert watch.page.locator("b").count() == 0 and watch.page.locator("script").count() == 1
    shown = watch.page.locator("body").inner_text().count(EVIL)
    assert shown >= 1 + (report.stem in NAMED)
    assert watch.complaints == []


def test_long_tables_and_wide_pictures_scroll_inside(opened):
    page = opened(width=360).page
    tables = page.locator(".wide").evaluate_all(
        "all => all.map(e => [e.clientHeight, e.scrollHeight])"
    )
    assert max(inner for _, inner in tables) > 5000
    assert max(outer for outer, _ in tables) < 600
    widths = page.locator(".picture").evaluate_all(
        "all => all.map(e => [e.clientWidth, e.scrollWidth])"
    )
    assert all(outer < 360 for outer, _ in widths)
    assert max(inner for _, inner in widths) > 400


@pytest.mark.parametrize("width", [700, 1200, 1600])
def test_no_picture_is_clipped(opened, width):
    clipped = "all => all.filter(e => e.scrollWidth > e.clientWidth).map(e => e.ariaLabel)"
    assert opened(width=width).page.locator(".picture").evaluate_all(clipped) == []


def test_the_first_screen_says_it_in_three_sentences(opened):
    page = opened(width=1200).page
    lead = page.locator(".lead")
    box = lead.bounding_box()
    assert box["y"] + box["height"] < 400
    assert len(re.findall(r"\. (?=[A-Z])|\.$", lead.inner_text())) == 3
    assert "Look at" in lead.inner_text()


def test_a_long_table_is_searched_and_sorted(opened):
    page = opened().page
    box = page.get_by_label("Search: What this run was given")
    table = page.locator("table", has=page.locator("caption", has_text="What this run was given"))
    box.fill("number.29")
    assert table.locator("tbody tr:visible").count() == 11  # 29, 290 to 299
    box.fill("")
    table.get_by_role("button", name="parameter").click()
    assert table.locator("tbody th").first.inner_text() == "task.parameter.number.99"
    assert table.locator("thead th").first.get_attribute("aria-sort") == "descending"


def test_print_shows_all_of_it_in_ink_on_paper(opened):
    page = opened("dark").page
    page.emulate_media(media="print")
    hidden = "all => all.filter(e => e.scrollHeight > e.clientHeight + 1).length"
    assert page.locator(".wide").evaluate_all(hidden) == 0
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(29, 39, 51)"
    sheets = len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4")))
    assert sheets > 8  # the long table goes on from sheet to sheet
