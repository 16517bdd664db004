import numpy as np
import pytest

from sc_mamba2.errors import UserError
from sc_mamba2.tasks.perturbation.features import joined_feature, own_columns, single_features
from sc_mamba2.tasks.perturbation.params import KeyParams
from sc_mamba2.tasks.perturbation.reading import read_cells, read_controls


def test_cells_come_with_perturbation_and_context(parts):
    cells, _, remarks = read_cells(parts.valid, parts.keys)
    assert list(cells.obs) == ["perturbation", "context"] and not remarks
    assert set(cells.obs["context"]) == {"first", "second"}


def test_a_context_without_control_is_remarked(parts):
    valid = parts.valid.copy()
    valid.obs["batch"] = valid.obs["batch"].astype(str)
    lone = valid.obs.index[valid.obs["perturbation"] != "control"][:6]
    valid.obs.loc[lone, "batch"] = "third"
    assert [r["rule"] for r in read_cells(valid, parts.keys)[2]] == ["context-without-control"]


@pytest.mark.parametrize(
    ("key", "rule"), [("bach", "context-missing"), ("hole", "context-incomplete")]
)
def test_contexts_that_are_not_there_are_refused(parts, key, rule):
    valid = parts.valid.copy()
    valid.obs["hole"] = valid.obs["batch"].astype(object).where(np.arange(valid.n_obs) > 3)
    with pytest.raises(UserError, match=rule):
        read_cells(valid, KeyParams(context_key=key))


def test_controls_stand_over_the_models_genes(parts):
    genes = (*parts.prior.effects.genes[5:], "ENSG00000000000")
    controls = read_controls(parts.valid, parts.keys, genes)
    names = parts.valid.obs["perturbation"].astype(str).to_numpy()
    assert list(controls.var_names) == list(genes)
    expected = parts.valid.X.toarray()[names == "control"][:, 5:]
    np.testing.assert_array_equal(controls.X.toarray()[:, :-1], expected)
    assert controls.X.toarray()[:, -1].sum() == 0
    alone = parts.valid[names == "control"].copy()
    del alone.obs["perturbation"]
    assert read_controls(alone, parts.keys, genes).n_obs == controls.n_obs


def test_genes_are_described_by_the_checkpoint_and_compounds_by_a_table(tmp_path):
    found = single_features(["STAT1", "nonsense"], KeyParams())
    assert set(found) == {"STAT1"}
    assert all(np.linalg.norm(vector) == pytest.approx(1) for vector in found.values())
    assert single_features(["STAT1"], KeyParams(kind="chemical")) == {}
    (tmp_path / "table.csv").write_text("name,a,b\naspirin,3,4\nother,0,1\n")
    keys = KeyParams(kind="chemical", feature_file=str(tmp_path / "table.csv"))
    table = single_features(["aspirin"], keys)
    np.testing.assert_allclose(table["aspirin"], [0.6, 0.8])
    joined = joined_feature("aspirin+other", table, ())
    np.testing.assert_allclose(joined, np.array([0.3, 0.9]) / np.hypot(0.3, 0.9))
    assert joined_feature("aspirin+unknown", table, ()) is None


@pytest.mark.parametrize(
    "text", ["name,a\nx,\n", "name,a\nx,1\nx,2\n", "name\nx\n", "name,a\nx,y\n"]
)
def test_a_table_that_is_no_table_is_refused(tmp_path, text):
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(UserError, match="feature-file"):
        single_features([], KeyParams(feature_file=str(tmp_path / "table.csv")))


def test_own_genes_are_found_by_name_where_they_are_measured():
    genes = ("ENSG00000115415", "ENSG00000096968")  # STAT1, JAK2
    assert own_columns(["STAT1", "JAK2", "IRF1"], genes, KeyParams()) == {"STAT1": 0, "JAK2": 1}
    assert own_columns(["STAT1"], genes, KeyParams(kind="chemical")) == {}


def test_time_is_part_of_the_context(parts):
    valid = parts.valid.copy()
    valid.obs["time"] = np.where(np.arange(valid.n_obs) % 2, "6h", "24h")
    cells, _, _ = read_cells(valid, KeyParams(context_key="batch", time_key="time"))
    assert set(cells.obs["context"]) == {
        f"{b} at {t}" for b in ("first", "second") for t in ("6h", "24h")
    }
