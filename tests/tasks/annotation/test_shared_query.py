"""A query that holds cells of the reference: said on the screen and in the report, and not scored."""

import json

import anndata as ad
import pytest
from tests.cli import entered

from sc_mamba2.cells import simulate_cells


def annotated(folder, reference, query):
    for name, cells in (("ref", reference), ("query", query)):
        cells.write_h5ad(folder / f"{name}.h5ad")
    words = ("-r", folder / "ref.h5ad", "-k", "cell_type", "-o", folder / "out.h5ad", "--force")
    said = entered("annotate", folder / "query.h5ad", *words)
    data = json.loads((folder / "out.scm" / "metrics.json").read_text())["data"]
    report = (folder / "out.scm" / "report.html").read_text()
    return " ".join(said.output.split()), data, report, ad.read_h5ad(folder / "out.h5ad")


@pytest.mark.slow
def test_shared_cells_are_said_and_left_out(tmp_path):
    cells = simulate_cells(120, 200)
    query = cells[60:].copy()
    query.obs["scm_cell_type"], query.uns["scm"] = "of before", {"run_id": "1"}
    said, data, report, out = annotated(tmp_path, cells[:90].copy(), query)
    words = "30 of 60 cells are also in the reference (same name, same profile)"
    assert words in said and words in report
    assert (data["shared_cells"], data["scored_cells"], out.n_obs) == (30, 30, 60)
    assert "earlier results" in said and "earlier results" in report
    assert "scm_cell_type" in out.uns["scm"]["replaced"]
    assert "of before" not in set(out.obs["scm_cell_type"])


@pytest.mark.slow
def test_where_all_are_shared_nothing_is_scored(tmp_path, full):
    if not full:
        pytest.skip("tried by `make test-faults`")
    cells = simulate_cells(90, 200)
    said, data, report, out = annotated(tmp_path, cells, cells.copy())
    assert "90 of 90 cells" in said and "No other cell of the query has a label" in report
    assert data["scored_cells"] == 0 and out.obs["scm_cell_type"].notna().all()
    assert "replaced" not in out.uns["scm"]
