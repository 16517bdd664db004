"""The map of cells: packed small and safely, and alive in Chromium without asking anyone."""

import base64
import json

import numpy as np
import pandas as pd
import pytest
from tests.browser import Watch

from sc_mamba2.reporting import CellMap, Section, cell_map, palette, render_report, shared_palettes

EVIL = "</script><script>document.title='broken'</script><b>T</b><!--"
NAMES = pd.Index([EVIL, "b", "c", "d"])
PLACES = pd.DataFrame({"x": [0.0, 1.0, 0.0, 1.0], "y": [0.0, 0.0, 2.0, 2.0]}, NAMES)
COLUMNS = {
    "called": pd.Series([EVIL, "B cell", "B cell", "T cell"], NAMES, dtype="category"),
    "true": pd.Series(["T cell", "NK"], NAMES[:2]),
    "batch": pd.Series([1, 2, 2, 2], NAMES).astype(str),
    "confidence": pd.Series([0.1, np.nan, 0.5, 0.9], NAMES),
}
MAP = CellMap("Cells by UMAP", {"before": PLACES, "after": PLACES[::1]}, COLUMNS, ("umap",))


def read(text: str, kind: str) -> list:
    return np.frombuffer(base64.b64decode(text), kind).tolist()


def test_what_is_packed_can_be_read_again():
    packed = MAP.packed()
    assert packed["names"] == list(NAMES)
    corners = [0, 0, 65535, 0, 0, 65535, 65535, 65535]
    assert [read(layout["places"], "<u2") for layout in packed["layouts"]] == [corners] * 2
    called, true, batch, confidence = packed["columns"]
    classes = [called["classes"][code] for code in read(called["codes"], "<u2")]
    assert classes == list(COLUMNS["called"])
    assert true["classes"] == ["NK", "T cell"] and read(true["codes"], "<u2")[2:] == [65535] * 2
    assert batch["classes"] == ["1", "2"]
    assert (confidence["least"], confidence["most"]) == pytest.approx((0.1, 0.9))
    values = read(confidence["values"], "<f4")
    assert values[::2] == pytest.approx([0.1, 0.5]) and np.isnan(values[1])


def test_a_class_has_one_colour_in_all_columns_and_other_columns_their_own():
    palettes = shared_palettes({name: column.dropna() for name, column in COLUMNS.items()})
    assert (
        palettes["called"] == palettes["true"] == palette(sorted([EVIL, "B cell", "NK", "T cell"]))
    )
    assert palettes["batch"] == palette(["1", "2"])
    assert shared_palettes({"none": pd.Series(dtype=object)}) == {"none": {}}


def test_of_many_cells_some_are_drawn_evenly_and_it_is_said(monkeypatch):
    monkeypatch.setattr(cell_map, "MAX_CELLS", 5)
    places = pd.DataFrame({"x": range(9), "y": range(9)}, [f"cell {at}" for at in range(9)])
    many = CellMap("Cells", {"UMAP": places}, {"number": places["x"]})
    assert many.packed()["names"] == [f"cell {at}" for at in (0, 2, 4, 6, 8)]
    assert many.words == "Cells (5 of 9 cells, evenly taken)" and MAP.words == "Cells by UMAP"


def test_no_name_ends_the_script():
    text = MAP.as_json()
    assert not set(text) & set("<>&")
    assert json.loads(text) == json.loads(json.dumps(MAP.packed()))


@pytest.mark.parametrize("values", [[np.nan] * 4, [np.inf, 1, 2, 3], [5] * 4])
def test_odd_numbers_are_packed(values):
    odd = CellMap("Cells", {"UMAP": PLACES * 0}, {"odd": pd.Series(values, NAMES, dtype=float)})
    assert np.isfinite([odd.packed()["columns"][0][end] for end in ("least", "most")]).all()
    assert "Infinity" not in odd.as_json()


@pytest.fixture
def opened(browser, tmp_path):
    """Give a function that opens a report with a map in a window of a width."""
    pages = []

    def open_page(cells: CellMap, width: int = 1200) -> Watch:
        report = tmp_path / "report.html"
        section = Section("Pictures", cell_map=cells)
        report.write_text(render_report("Cells", "lead", [section], "foot"), encoding="utf-8")
        page = browser.new_page(viewport={"width": width, "height": 900})
        pages.append(page)
        watch = Watch(page)
        page.goto(report.as_uri())
        assert watch.asked_elsewhere(report.as_uri()) == []
        return watch

    yield open_page
    for page in pages:
        page.close()


def inks(page) -> set[str]:
    """Return the colours of the canvas, those of many pixels."""
    return set(
        page.evaluate(
            """() => new Promise((done) => requestAnimationFrame(() => {
            const canvas = document.querySelector(".map canvas"), counts = {};
            const { width, height } = canvas;
            const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
            copy.drawImage(canvas, 0, 0);
            const { data } = copy.getImageData(0, 0, width, height);
            for (let at = 0; at < data.length; at += 4) if (data[at + 3] === 255) {
                const key = data.slice(at, at + 3).join(); counts[key] = 1 + (counts[key] ?? 0);
            }
            done(Object.keys(counts).filter((key) => counts[key] > 9));
        }))"""
        )
    )


def test_it_names_the_cell_under_the_pointer_whatever_its_name(opened):
    watch = opened(MAP)
    page, canvas = watch.page, watch.page.locator(".map canvas")
    box = canvas.bounding_box()
    canvas.hover(position={"x": 14, "y": box["height"] - 14})  # the first cell: lowest, leftmost
    lines = page.locator(".map-tip").inner_text().split("\n")
    assert lines == [EVIL, f"called: {EVIL}", "true: T cell", "batch: 1", "confidence: 0.1"]
    canvas.hover(position={"x": box["width"] / 2, "y": box["height"] / 2})
    assert page.locator(".map-tip").is_hidden()
    assert page.title() == "Cells" and page.locator(".map-live b:has-text('T')").count() == 0
    assert watch.complaints == []


def test_legends_hide_cells_and_colours_follow_the_choice(opened):
    watch = opened(MAP)
    page, count = watch.page, watch.page.locator(".map-count")
    assert count.inner_text() == "4 of 4 cells shown" and len(inks(page)) == 3
    page.locator(".map-class", has_text="B cell").click()
    assert count.inner_text() == "2 of 4 cells shown" and len(inks(page)) == 2
    page.get_by_label("Colour by").select_option("batch")
    assert count.inner_text() == "2 of 4 cells shown"  # hidden stays hidden
    page.get_by_role("button", name="Show all cells").click()
    assert count.inner_text() == "4 of 4 cells shown" and len(inks(page)) == 2
    page.get_by_label("Colour by").select_option("confidence")
    page.locator(".map-legend input").first.fill("0.5")
    assert count.inner_text() == "2 of 4 cells shown"
    page.get_by_label("Layout").select_option("before")
    assert watch.complaints == []


def test_it_zooms_moves_and_comes_back(opened):
    page = opened(MAP).page
    canvas = page.locator(".map canvas")
    canvas.click()
    first = canvas.screenshot()
    page.mouse.wheel(0, 400)
    page.wait_for_timeout(200)
    zoomed = canvas.screenshot()
    page.keyboard.press("ArrowLeft")
    moved = canvas.screenshot()
    page.keyboard.press("0")
    assert len({first, zoomed, moved}) == 3 and canvas.screenshot() == first


def test_a_lasso_gives_the_cells_inside_to_who_asks(opened):
    page = opened(MAP).page
    page.evaluate(
        """(packed) => cellMap(document.querySelector(".map-live"), unpackCells(packed),
        {onselect: (indices) => { window.chosen = indices; }})""",
        MAP.packed(),
    )
    page.get_by_role("button", name="Draw around cells").click()
    box = page.locator(".map canvas").bounding_box()
    left, middle = box["x"] + 2, box["x"] + box["width"] / 2
    page.mouse.move(left, box["y"] + 2)
    page.mouse.down()
    for x, y in ((middle, 2), (middle, box["height"] - 2), (2, box["height"] - 2)):
        page.mouse.move(x if x == middle else left, box["y"] + y)
    page.mouse.up()
    assert page.evaluate("window.chosen") == [0, 2]


@pytest.mark.parametrize(
    "width", [360, 1200, *(pytest.param(width, marks=pytest.mark.slow) for width in (700, 1600))]
)
def test_many_cells_are_drawn_in_time_and_nothing_is_clipped(opened, width):
    count = 20_000
    random = np.random.default_rng(0)
    names = pd.Index([f"cell {at}" for at in range(count)])
    places = pd.DataFrame(random.normal(size=(count, 2)), names, ["x", "y"])
    types = pd.Series(random.choice([f"type {at} " * 5 for at in range(60)], count), names)
    page = opened(CellMap("Cells", {"UMAP": places}, {"type": types}), width).page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    inner = page.locator(".map-canvas").bounding_box()
    assert inner["x"] >= 0 and inner["x"] + inner["width"] <= width
    frame = """() => new Promise((done) => requestAnimationFrame((start) =>
        requestAnimationFrame((end) => done(end - start))))"""
    page.locator(".map canvas").hover(position={"x": 100, "y": 100})
    assert page.evaluate(frame) < 1000  # of a machine that does other work too


def test_paper_and_who_runs_no_script_see_the_picture(browser, tmp_path):
    png = tmp_path / "report.html"
    picture = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    section = Section("Pictures", cell_map=MAP, stills={"Cells by type": picture})
    png.write_text(render_report("Cells", "lead", [section], "foot"), encoding="utf-8")
    page = browser.new_page()
    page.goto(png.as_uri())
    still, live = page.locator(".still"), page.locator(".map-live")
    assert live.is_visible() and still.is_hidden()
    page.emulate_media(media="print")
    assert still.is_visible() and live.is_hidden()
    page.close()
    page = browser.new_page(java_script_enabled=False)
    page.goto(png.as_uri())
    assert page.locator(".still").is_visible() and page.locator(".map-live").is_hidden()
    page.close()
