"""`Model`: trained, saved and loaded it tells the same as `tl` with the same seed."""

import numpy as np
import pytest

import sc_mamba2 as scm
from sc_mamba2.cells import simulate_cells
from sc_mamba2.errors import UserError


@pytest.mark.slow
def test_a_model_of_types_is_the_checkpoint_of_the_verb(tmp_path):
    cells, query = simulate_cells(90), simulate_cells(20, seed=1)
    model = scm.Model(cells, label_key="cell_type", seed=2)
    model.train(max_epochs=3)
    assert list(model.history["epoch"]) == [1, 2, 3]
    assert {"training_loss", "validation_loss"} <= set(model.history)
    model.save(tmp_path / "model")
    scm.tl.annotate(query, checkpoint=tmp_path / "model")
    loaded = scm.Model.load(tmp_path / "model", query)
    for one in (model, loaded):
        assert np.array_equal(one.predict(query), query.obs["scm_cell_type"].to_numpy(str))
        assert np.array_equal(one.get_latent_representation(query), query.obsm["X_scm"])
    soft = loaded.predict(soft=True)
    assert list(soft.index) == list(query.obs_names)
    assert (soft.idxmax(axis=1).to_numpy() == loaded.predict()).all()
    assert list(cells.obs) == ["cell_type", "batch"] and not cells.obsm and not cells.uns


def test_a_model_of_batches_loads_what_the_tool_saved(tmp_path):
    cells = simulate_cells(60)
    short = {"batch_correction.candidates.width": 8}
    model = scm.Model(cells, batch_key="batch", params=short)
    model.train()
    scm.tl.integrate(cells, batch_key="batch", params=short, save=tmp_path / "model")
    loaded = scm.Model.load(tmp_path / "model")
    for told in (model.get_latent_representation(), loaded.get_latent_representation(cells)):
        assert np.array_equal(told, cells.obsm["X_scm_corrected"])
    with pytest.raises(UserError, match="removes batch effects"):
        model.predict()
    with pytest.raises(UserError, match="without cells"):
        loaded.get_latent_representation()


def test_a_model_knows_its_column_and_is_trained_first():
    cells = simulate_cells(20)
    for columns in ({}, {"label_key": "cell_type", "batch_key": "batch"}):
        with pytest.raises(UserError, match="options"):
            scm.Model(cells, **columns)
    with pytest.raises(UserError, match="model-untrained"):
        scm.Model(cells, label_key="cell_type").get_latent_representation()
