"""`scm explore`: who gets an answer, what is answered, what is written, and the page in Chromium."""

import _thread
import base64
import json
import signal
import socket
import sys
import threading
import webbrowser
from contextlib import contextmanager
from http.client import HTTPConnection
from types import SimpleNamespace
from urllib.parse import urlencode, urlsplit

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tests.browser import Watch
from tests.cli import entered, refused

from sc_mamba2.cells import simulate_cells
from sc_mamba2.errors import UserError
from sc_mamba2.files import sha256_of
from sc_mamba2.runs import explored
from sc_mamba2.runs.explored import ExploredCells
from sc_mamba2.runs.explorer import explorer

EVIL = "</script><img src=x onerror=document.title='broken'>"


@pytest.fixture
def result(tmp_path):
    """Give a file such as an annotation writes, of 120 cells; one has a name that is no name."""
    cells = simulate_cells(cells=120, genes=60)
    cells.obs_names = [EVIL, *cells.obs_names[1:]]
    random = np.random.default_rng(0)
    types = cells.obs["cell_type"].astype("category")
    middles = random.normal(size=(3, 8)) * 9
    cells.obsm["X_scm"] = (middles[types.cat.codes] + random.normal(size=(120, 8))).astype("f4")
    cells.obs["scm_cell_type"] = types
    cells.obs["scm_cell_type_confidence"] = random.random(120).astype("f4")
    cells.obs["barcode"] = [f"cell {at}" for at in range(120)]
    experts = pd.DataFrame({"neighbours": types, "logistic": types[::-1].array}, cells.obs_names)
    cells.obsm["scm_cell_type_experts"] = experts.astype("category")
    cells.obsm["scm_cell_type_probability"] = random.random((120, 3)).astype("f4")
    cells.uns["scm"] = {"classes": np.array(["alpha", "beta", "gamma"], dtype=object)}
    cells.layers["smooth"] = cells.X * 0.5
    path = tmp_path / "out.h5ad"
    cells.write_h5ad(path)
    return path


@pytest.fixture
def with_layout(result):
    cells = ad.read_h5ad(result)
    codes = cells.obs["cell_type"].astype("category").cat.codes.to_numpy()
    cells.obsm["X_umap"] = np.column_stack([codes, np.linspace(0, 1, len(cells))])
    cells.obsm["X_odd"] = np.full((120, 2), np.nan)
    cells.write_h5ad(result)
    return result


@contextmanager
def running(path):
    output = path.with_suffix(".explored.h5ad")
    with explorer(0, lambda: ExploredCells(path, output)) as (server, _, address):
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield address
        server.shutdown()


def ask(address, what="", given=None, **headers):
    """Return the status and the body of an answer, and its headers."""
    place = urlsplit(address)
    connection = HTTPConnection(place.netloc, timeout=20)
    body = None if given is None else json.dumps(given)
    own = {} if given is None else {"Content-Type": "application/json"}
    connection.request("GET" if given is None else "POST", place.path + what, body, own | headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    is_json = answer.headers.get_content_type() == "application/json"
    return answer.status, json.loads(text) if is_json else text, answer.headers


def values(packed):
    return np.frombuffer(base64.b64decode(packed["values"]), "<f4")


def classes(packed):
    codes = np.frombuffer(base64.b64decode(packed["codes"]), "<u2")
    return [[*packed["classes"], None][min(code, len(packed["classes"]))] for code in codes]


def test_only_who_knows_the_token_and_the_host_gets_an_answer(with_layout):
    with running(with_layout) as address:
        host = urlsplit(address).netloc
        assert host.startswith("127.0.0.1:")
        status, page, headers = ask(address)
        assert status == 200 and b"Content-Security-Policy" in page
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in headers
        for other in (f"http://{host}/", f"http://{host}/{'x' * 32}/", address[:-2] + "/"):
            assert ask(other)[0] == ask(other, "cells")[0] == 404
            assert ask(other, "selection", {"name": "a", "value": "", "cells": [0]})[0] == 404
        for other in ("evil.example", f"evil.example:{host.partition(':')[2]}", "127.0.0.1"):
            assert ask(address, "cells", Host=other)[0] == 403
        kind = {"Content-Type": "text/plain"}
        given = {"name": "a", "value": "", "cells": [0]}
        assert ask(address, "selection", given, **kind)[0] == 415
        assert ask(address, "selection", {"name": "a"})[0] == 400
        assert ask(address, "gene?at=x&matrix=X")[0] == 400
        assert ask(address, "../cells")[0] == ask(address, "passwd")[0] == 404
    assert not with_layout.with_suffix(".explored.h5ad").exists()


def test_layouts_columns_experts_and_probabilities_are_there(with_layout):
    with running(with_layout) as address:
        _, page, _ = ask(address, "cells")
        assert [layout["name"] for layout in page["layouts"]] == ["X_umap"]  # none of NaN
        assert page["names"][0] == EVIL and page["matrices"] == ["X", 'layers["smooth"]']
        assert "barcode" in page["titles"]
        first = {one["name"]: one for one in page["columns"]}
        assert list(first)[:3] == ["scm_cell_type", "expert: neighbours", "expert: logistic"]
        assert first["scm_cell_type"]["colours"] == first["expert: logistic"]["colours"]
        cells = ad.read_h5ad(with_layout)
        assert classes(first["expert: logistic"]) == list(
            cells.obsm["scm_cell_type_experts"]["logistic"]
        )
        _, packed, _ = ask(address, "column?" + urlencode({"name": "probability: beta"}))
        assert np.array_equal(values(packed), cells.obsm["scm_cell_type_probability"][:, 1])
        status, error, _ = ask(address, "column?name=nothing")
        assert status == 400 and error["rule"] == "column-missing"


def test_genes_are_those_of_the_file_and_it_is_said_which(with_layout):
    cells = ad.read_h5ad(with_layout)
    counts = cells.X.toarray()
    with running(with_layout) as address:
        _, page, _ = ask(address, "cells")
        assert len(page["genes"]) == 60 and cells.var_names[7] in page["genes"][7]
        _, packed, _ = ask(address, "gene?at=7&matrix=X")
        normal = np.log1p(10_000 * counts / counts.sum(axis=1, keepdims=True))[:, 7]
        assert values(packed) == pytest.approx(normal, rel=1e-5)
        assert packed["said"] == "log1p of 10,000 per cell, from the counts in X"
        query = urlencode({"at": 7, "matrix": 'layers["smooth"]'})
        _, packed, _ = ask(address, f"gene?{query}")
        assert np.array_equal(values(packed), counts[:, 7] * 0.5)
        assert packed["said"] == 'layers["smooth"], as stored'
        for query in ("at=60&matrix=X", "at=-1&matrix=X", "at=0&matrix=Y"):
            assert ask(address, f"gene?{query}")[1]["rule"] == "gene-unknown"


def test_genes_that_raw_alone_has_are_found_there(with_layout):
    cells = ad.read_h5ad(with_layout)
    whole = cells.copy()
    whole.X = whole.X * 0.25
    cells = cells[:, 20:].copy()
    cells.raw = whole
    cells.write_h5ad(with_layout)
    own = ExploredCells(with_layout, with_layout.with_name("o.h5ad"))
    assert len(own.genes) == 60 and own.matrices == ["X", 'layers["smooth"]', "raw.X"]
    for name in (whole.var_names[3], whole.var_names[30]):
        at = next(at for at, title in enumerate(own.genes) if name in title)
        expected = whole[:, name].X.toarray()[:, 0]
        assert np.array_equal(values(own.gene(at, "raw.X")), expected)
    with pytest.raises(UserError, match="gene-unknown"):
        own.gene(59, "X")  # those that X lacks stand last


@pytest.mark.parametrize("form", [sparse.csc_matrix, np.asarray])
def test_matrices_of_other_forms_give_the_same(with_layout, form):
    cells = ad.read_h5ad(with_layout)
    own = ExploredCells(with_layout, with_layout.with_name("o.h5ad")).gene(3, "X")
    cells.X = form(cells.X.toarray())
    cells.write_h5ad(with_layout)
    assert ExploredCells(with_layout, with_layout.with_name("o.h5ad")).gene(3, "X") == own


def test_a_matrix_that_is_too_large_is_told_and_all_else_works(with_layout, monkeypatch):
    monkeypatch.setattr(explored, "MAX_BYTES", 1000)
    with running(with_layout) as address:
        status, error, _ = ask(address, "gene?at=7&matrix=X")
        assert status == 400 and error["rule"] == "matrix-large"
        assert ask(address, "column?name=batch")[0] == 200


def test_selections_are_written_to_a_copy(with_layout):
    before, output = sha256_of(with_layout), with_layout.with_suffix(".explored.h5ad")
    with running(with_layout) as address:

        def select(name, value, cells):
            return ask(address, "selection", {"name": name, "value": value, "cells": cells})[:2]

        status, packed = select("mine", "", [0, 5, 119])
        assert status == 200 and classes(packed).count("True") == 3
        assert select("kind", "one", [1, 2])[0] == select("kind", "two", [2, 3])[0] == 200
        for name in ("", "a/b", "_index", "batch", "expert: logistic"):
            assert select(name, "", [0])[1]["rule"] == "selection-name"
        for cells in ([], [120], [-1]):
            assert select("other", "", cells)[1]["rule"] == "selection-cells"
    assert sha256_of(with_layout) == before
    was, now = ad.read_h5ad(with_layout), ad.read_h5ad(output)
    assert list(np.flatnonzero(now.obs["mine"])) == [0, 5, 119] and now.obs["mine"].dtype == bool
    kinds = now.obs["kind"].astype(object).where(now.obs["kind"].notna(), None)
    assert list(kinds[:5]) == [None, "one", "two", "two", None] and kinds[5:].isna().all()
    assert (now.X != was.X).nnz == 0 and list(now.obs_names) == list(was.obs_names)
    assert list(now.obs.columns) == [*was.obs.columns, "mine", "kind"]
    with running(with_layout) as address:  # another time
        given = {"name": "mine", "value": "", "cells": [0]}
        assert ask(address, "selection", given)[1]["rule"] == "output-exists"
    assert list(with_layout.parent.glob(".*")) == []


def test_a_write_that_fails_leaves_what_was_there(with_layout, monkeypatch):
    output = with_layout.with_suffix(".explored.h5ad")
    cells = ExploredCells(with_layout, output)
    cells.select("mine", "", [1])
    before = sha256_of(output)

    def broken(path, _):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(explored, "write_copy", broken)
    with pytest.raises(OSError):
        cells.select("other", "", [2])
    assert sha256_of(output) == before and list(cells.selections) == ["mine"]
    assert sorted(path.name for path in output.parent.iterdir()) == [
        "out.explored.h5ad",
        "out.h5ad",
    ]


def test_by_force_the_file_itself_gets_the_column(with_layout):
    ExploredCells(with_layout, with_layout, force=True).select("mine", "", [4])
    assert np.flatnonzero(ad.read_h5ad(with_layout).obs["mine"]) == [4]


def test_without_a_layout_the_embedding_is_laid_out(result, monkeypatch):
    def lay_out(embedding, seed):
        assert np.array_equal(embedding, ad.read_h5ad(result).obsm["X_scm"])
        return pd.DataFrame(embedding.to_numpy()[:, :2], embedding.index, ["x", "y"])

    real = "sc_mamba2.reporting.layout"  # loads for long, and then compiles
    monkeypatch.setitem(sys.modules, real, SimpleNamespace(lay_out=lay_out))
    before = sha256_of(result)
    cells = ExploredCells(result, result.with_name("o.h5ad"))
    assert [one["name"] for one in cells.page()["layouts"]] == ["UMAP of X_scm"]
    assert sha256_of(result) == before


def test_cells_without_columns_are_shown_and_names_of_cells_are_no_classes(
    with_layout, monkeypatch
):
    cells = ad.read_h5ad(with_layout)
    cells.obs = cells.obs[["barcode"]]
    del cells.obsm["scm_cell_type_experts"], cells.obsm["scm_cell_type_probability"]
    cells.write_h5ad(with_layout)
    monkeypatch.setattr(explored, "MAX_CLASSES", 100)
    page = ExploredCells(with_layout, with_layout.with_name("o.h5ad")).page()
    assert page["titles"] == ["cells"] and classes(page["columns"][0]) == ["cell"] * 120


@pytest.mark.parametrize("key", ["X_nothing", "X_odd", "scm_cell_type_experts"])
def test_a_layout_that_is_not_there_is_refused(with_layout, key):
    with pytest.raises(UserError) as error:
        ExploredCells(with_layout, with_layout.with_name("o.h5ad"), key)
    assert error.value.rule == "layout-missing"


def test_slips_are_refused(result, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = ("--port", taken.getsockname()[1])
        refused("explore", result, "--no-browser", *port, rule="port-taken", folder=tmp_path)
    refused("explore", tmp_path / "ot.h5ad", rule="file-missing", folder=tmp_path)
    refused("explore", result, "-o", result, rule="output-is-input", folder=tmp_path)
    refused("explore", result, "-o", "o.csv", rule="output-suffix", folder=tmp_path)
    cells = ad.read_h5ad(result)
    del cells.obsm
    cells.write_h5ad(result)
    refused("explore", result, "--no-browser", rule="layout-missing", folder=tmp_path)
    cells.write_zarr(tmp_path / "cells.zarr")
    refused("explore", tmp_path / "cells.zarr", rule="file-format", folder=tmp_path)


@pytest.mark.parametrize("how", [(), ("--json",), ("--quiet",)])
def test_it_is_served_until_it_is_ended(with_layout, how, monkeypatch):
    # A process that was started in the background ignores interrupts, and would serve for ever.
    before, seen = signal.signal(signal.SIGINT, signal.default_int_handler), []

    def read_and_end(address):
        seen.extend([address, ask(address)[0]])
        _thread.interrupt_main()

    def open_it(address):
        threading.Thread(target=read_and_end, args=(address,)).start()

    monkeypatch.setattr(webbrowser, "open", open_it)
    try:
        out = entered("explore", with_layout, *how).stdout
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen[1] == 200
    if "--json" in how:
        assert json.loads(out) == {
            "address": seen[0],
            "cells": 120,
            "output": str(with_layout.with_suffix(".explored.h5ad")),
        }
    elif how:
        assert out == f"{seen[0]}\n"
    else:
        assert seen[0] in out and "out.explored.h5ad" in out


def test_the_page_colours_selects_and_writes(browser, with_layout):
    cells = ad.read_h5ad(with_layout)
    gene = str(cells.var["symbol"].iloc[7] if "symbol" in cells.var else cells.var_names[7])
    with running(with_layout) as address:
        page = browser.new_page(viewport={"width": 1300, "height": 1100})
        watch = Watch(page)
        page.goto(address)
        page.locator(".map-count", has_text="120 of 120").wait_for()
        assert page.get_by_label("Colour by").locator("option:checked").inner_text() == (
            "scm_cell_type"
        )
        page.get_by_label("Column or gene").fill(gene.lower())
        page.keyboard.press("Enter")
        page.locator("#said", has_text="log1p of 10,000").wait_for()
        assert gene in page.get_by_label("Colour by").locator("option:checked").inner_text()
        page.get_by_role("button", name="Draw around cells").click()
        box = page.locator(".map canvas").bounding_box()
        left, right = box["x"] + 2, box["x"] + box["width"] / 4  # the first type alone
        page.mouse.move(left, box["y"] + 2)
        page.mouse.down()
        for x, y in ((right, 2), (right, box["height"] - 2), (left, box["height"] - 2)):
            page.mouse.move(x, box["y"] + y)
        page.mouse.up()
        alpha = np.flatnonzero(cells.obs["cell_type"] == "alpha")
        words = f"{len(alpha)} of 120 cells selected"
        assert page.locator("#amount").inner_text() == words
        assert page.locator("#tables table").first.inner_text().split() == (
            f"By scm_cell_type scm_cell_type cells of these alpha {len(alpha)} 100.0%".split()
        )
        page.get_by_label("Write as").fill("mine")
        page.get_by_role("button", name="Write the selection").click()
        page.locator("#said", has_text="cells written").wait_for()
        assert page.get_by_label("Colour by").locator("option:checked").inner_text() == "mine"
        with page.expect_download() as download:
            page.get_by_role("button", name="Names as CSV").click()
        named = pd.read_csv(download.value.path())["cell"]
        assert list(named) == list(cells.obs_names[alpha])
        page.locator(".map-class", has_text="True").click()
        page.get_by_role("button", name="Select what is shown").click()
        shown = page.locator("#amount").inner_text()
        assert shown == f"{120 - len(alpha)} of 120 cells selected"
        page.get_by_label("Column or gene").fill("nothing at all")
        page.keyboard.press("Enter")
        page.locator("#said.wrong", has_text="no column and no gene").wait_for()
        assert page.title() == "out.h5ad" and page.locator("main img").count() == 0
        assert watch.asked_elsewhere(address) == [] and watch.complaints == []
        page.close()
    now = ad.read_h5ad(with_layout.with_suffix(".explored.h5ad"))
    assert list(np.flatnonzero(now.obs["mine"])) == list(alpha)
