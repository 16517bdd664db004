"""From raw cells to the report, as Kedro runs it."""

import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tests.e2e.conftest import run

from sc_mamba2.cells import simulate_cells
from sc_mamba2.tasks.annotation.model import AnnotationModel
from sc_mamba2.tokens import load_tokens


def test_the_run_writes_what_the_contract_promises(finished):
    annotated = ad.read_h5ad(finished.written["annotation.annotated"])
    raw = simulate_cells()
    assert {"scm_cell_type", "scm_cell_type_confidence", "scm_unassigned"} <= set(annotated.obs)
    assert annotated.obsm["X_scm"].shape == (annotated.n_obs, 2 * 64)
    probability = annotated.obsm["scm_cell_type_probability"]
    facts = annotated.uns["scm"]
    assert list(facts["classes"]) == ["alpha", "beta", "gamma"]
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-5)
    best = np.asarray(facts["classes"])[probability.argmax(axis=1)]
    assert list(best) == list(annotated.obs["scm_cell_type"])
    assert facts["expression"] == "X" and facts["genes_matched"] == 200
    assert (annotated.X != raw[annotated.obs_names].X).nnz == 0
    assert list(annotated.obs_names) == [n for n in raw.obs_names if n in set(annotated.obs_names)]


def test_metrics_stand_beside_baselines_and_ablations(finished):
    metrics = json.loads(finished.written["annotation.metrics"].read_text())
    assert set(metrics) == {
        "model",
        "views",
        "baselines",
        "experts",
        "ablations",
        "data",
        "run",
        "summary",
    }
    assert set(metrics["baselines"]) == {"logistic_regression", "pca_knn"}
    assert set(metrics["ablations"]) == {"trunk_frozen"}
    # Types with marker genes are easy: a baseline that misses them is broken.
    assert metrics["baselines"]["logistic_regression"]["accuracy"] > 0.9
    assert metrics["data"]["reference"]["genes"]["matched"] == 200
    assert metrics["data"]["calibration"]["cells"] > 0 and "assigned" in metrics["views"]
    assert metrics["run"]["command"].startswith("kedro run --pipelines=annotation")


def test_the_report_is_one_file_that_fetches_nothing(finished):
    page = finished.written["annotation.report"].read_text()
    assert page.count("data:image/png;base64,") == 4
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert page.count("<script>") == 1 and "script-src 'sha256-" in page
    assert page.count("<script") == 1 + page.count('<script type="application/json"')
    for part in (
        "logistic_regression",
        "trunk_frozen",
        "matched",
        "annotation.fine_tune.max_epochs",
    ):
        assert part in page


def test_test_cells_never_touch_training(finished):
    calls = pd.read_parquet(finished.written["annotation.calls"])
    for role in ("training", "validation"):
        tokens = load_tokens(finished.written[f"annotation.{role}_tokens"])
        assert len(tokens) and not set(calls.index) & set(tokens.obs.index)


def test_the_values_of_test_cells_change_no_weight(finished, tmp_path):
    calls = pd.read_parquet(finished.written["annotation.calls"])
    cells = simulate_cells()
    tested = np.flatnonzero(cells.obs_names.isin(calls.index))
    counts = cells.X.toarray()
    counts[tested] = counts[tested][:, ::-1]
    cells.X = sparse.csr_matrix(counts)
    cells.write_h5ad(tmp_path / "other_test_cells.h5ad")
    cells = str(tmp_path / "other_test_cells.h5ad")
    other = run(tmp_path / "run", "annotation.call_cells", input=cells)
    models = [
        AnnotationModel.from_pretrained(r.written["annotation.model"]) for r in (finished, other)
    ]
    assert models[0].sha256() == models[1].sha256()
    assert not calls.equals(pd.read_parquet(other.written["annotation.calls"]))


@pytest.mark.slow
def test_two_runs_give_equal_weights(finished, tmp_path):
    again = run(tmp_path, "annotation.call_cells")
    first = AnnotationModel.from_pretrained(finished.written["annotation.model"])
    second = AnnotationModel.from_pretrained(again.written["annotation.model"])
    assert first.sha256() == second.sha256()
    table = "annotation.calls"
    pd.testing.assert_frame_equal(
        pd.read_parquet(finished.written[table]), pd.read_parquet(again.written[table])
    )


def test_every_run_keeps_its_own_metrics_and_report(finished):
    folder = finished.written["annotation.metrics"].parent / "runs"
    (kept,) = folder.iterdir()
    assert {path.name for path in kept.iterdir()} == {"metrics.json", "report.html", "run.json"}
    assert json.loads((kept / "metrics.json").read_text())["run"]["run_id"] == kept.name


@pytest.mark.slow
def test_a_run_of_missing_outputs_does_not_train_again(finished):
    model = finished.written["annotation.model"] / "model.safetensors"
    before = model.stat().st_mtime_ns
    finished.written["annotation.report"].unlink()
    from tests.e2e.conftest import QUICK

    from sc_mamba2.runs.records import read_record
    from sc_mamba2.runs.selection import Selection
    from sc_mamba2.runs.session import run_in_folder

    folder = finished.written["annotation.model"].parents[2]
    selection = Selection(pipelines=("annotation",), params=QUICK, only_missing_outputs=True)
    again = run_in_folder(selection, folder)
    assert again.written["annotation.report"].exists() and model.stat().st_mtime_ns == before
    assert {path.name for path in again.record.iterdir()} == {"report.html", "run.json"}
    assert read_record(again.record).scores == {}  # the metrics are of the run before
