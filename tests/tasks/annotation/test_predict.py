import numpy as np
import pandas as pd
import pytest

from sc_mamba2.cells import simulate_cells
from sc_mamba2.tasks.annotation.params import CallParams
from sc_mamba2.tasks.annotation.predict import annotate, call_types


def calls_for(names: pd.Index) -> pd.DataFrame:
    probability = np.random.default_rng(0).dirichlet([1, 1, 1], size=len(names))
    outputs = {"probability": probability.astype("float32")}
    return call_types(outputs, ("a", "b", "c"), names, CallParams(unassigned_below=0.6))


def test_a_call_is_the_best_class_and_weak_ones_are_marked():
    outputs = {"probability": np.array([[0.7, 0.3], [0.45, 0.55]])}
    calls = call_types(outputs, ("x", "y"), pd.Index(["1", "2"]), CallParams(unassigned_below=0.6))
    assert list(calls["scm_cell_type"]) == ["x", "y"]
    assert list(calls["scm_unassigned"]) == [False, True]
    assert list(calls["scm_cell_type_confidence"]) == [0.7, 0.55]


def test_the_users_cells_stay_as_they_are():
    cells = simulate_cells(20, 60)
    cells.obsm["X_pca"] = np.ones((20, 2))
    before = cells.copy()
    calls = calls_for(cells.obs_names)
    embedding = pd.DataFrame(np.ones((20, 4)), index=cells.obs_names)
    annotated = annotate(cells, calls[::-1], embedding, {"version": "0"})
    assert (annotated.X != before.X).nnz == 0 and list(annotated.obs_names) == list(
        before.obs_names
    )
    pd.testing.assert_frame_equal(annotated.obs[before.obs.columns], before.obs)
    assert set(annotated.obsm) == {"X_pca", "X_scm", "scm_cell_type_probability"}
    assert "scm_cell_type" not in cells.obs
    assert list(annotated.obs["scm_cell_type"]) == list(calls["scm_cell_type"])


def test_only_the_called_cells_are_kept_in_the_files_order():
    cells = simulate_cells(20, 60)
    some = cells.obs_names[[7, 3, 11]]
    embedding = pd.DataFrame(np.ones((3, 4)), index=some)
    annotated = annotate(cells, calls_for(some), embedding, {})
    assert list(annotated.obs_names) == list(cells.obs_names[[3, 7, 11]])


def test_categories_that_no_kept_cell_has_stay():
    cells = simulate_cells(20, 60)
    cells.obs["stage"] = pd.Categorical(["early"] * 20, categories=["early", "late"])
    some = cells.obs_names[:5]
    embedding = pd.DataFrame(np.ones((5, 4)), index=some)
    annotated = annotate(cells, calls_for(some), embedding, {})
    assert list(annotated.obs["stage"].cat.categories) == ["early", "late"]


def test_broad_types_are_called_and_written_where_there_is_a_mapping():
    cells = simulate_cells(3, 60)
    outputs = {"probability": np.array([[0.4, 0.3, 0.3], [0.9, 0.1, 0.0], [0.1, 0.5, 0.4]])}
    outputs["energy"] = np.array([-1.0, -9.0, -2.0])
    rollup = {"a": "x", "b": "y", "c": "y"}
    calls = call_types(outputs, ("a", "b", "c"), cells.obs_names, CallParams(), rollup)
    assert list(calls["scm_cell_type"]) == ["a", "a", "b"]
    assert list(calls["energy"]) == [-1, -9, -2]
    calls["scm_cell_type_majority"] = ["a", "a", "a"]
    embedding = pd.DataFrame(np.ones((3, 4)), index=cells.obs_names)
    obs = annotate(cells, calls, embedding, {}).obs
    assert list(obs["scm_cell_type_broad"]) == ["y", "x", "y"]
    assert obs["scm_cell_type_broad_confidence"].tolist() == pytest.approx([0.6, 0.9, 0.9])
    assert list(obs["scm_cell_type_majority"]) == ["a"] * 3 and "energy" not in obs
