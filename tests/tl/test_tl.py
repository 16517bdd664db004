"""`tl` beside its equality with the verbs (tests/e2e): keys, copies, what is refused, what is left alone."""

import random
from pathlib import Path

import anndata as ad
import mudata
import numpy as np
import pandas as pd
import pytest
import torch
from tests.checkpoints import write_random_checkpoint

import sc_mamba2 as scm
from sc_mamba2.cells import simulate_cells, simulate_perturbed
from sc_mamba2.cells.adding import add_results
from sc_mamba2.cells.simulate_pairs import simulate_rna_protein
from sc_mamba2.errors import UserError
from sc_mamba2.tasks.shared.parameters import flat_parameters
from sc_mamba2.tl.tool import _remembered, called

SHORT = {"annotation.fine_tune.max_epochs": 1}


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory) -> Path:
    return write_random_checkpoint(tmp_path_factory.mktemp("model") / "pretrained")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Give the folder of an annotation model."""
    folder = tmp_path_factory.mktemp("types") / "model"
    scm.tl.annotate(
        simulate_cells(30, seed=1),
        simulate_cells(90),
        label_key="cell_type",
        params=SHORT,
        save=folder,
    )
    return folder


def refused(rule: str, call, *words, **options) -> str:
    with pytest.raises(UserError) as error:
        call(*words, **options)
    assert error.value.rule == rule and "mend:" in str(error.value)
    return str(error.value)


def test_another_word_keeps_results_apart_and_a_copy_leaves_the_original(pretrained):
    cells = simulate_cells(12)
    assert scm.tl.embed(cells, checkpoint=pretrained) is None
    more = scm.tl.embed(cells, checkpoint=pretrained, max_length=5, key_added="few", copy=True)
    assert set(cells.obsm) == {"X_scm"} and set(more.obsm) == {"X_scm", "X_few"}
    assert np.array_equal(more.obsm["X_scm"], cells.obsm["X_scm"])
    assert not np.array_equal(more.obsm["X_few"], more.obsm["X_scm"])
    assert set(more.uns) == {"scm", "few"}
    again = scm.tl.embed(more, checkpoint=pretrained, key_added="few", copy=True)
    assert np.array_equal(again.obsm["X_few"], cells.obsm["X_scm"])


def test_what_the_user_keeps_is_not_written_over(pretrained):
    cells = simulate_cells(12)
    cells.uns["mine"] = {"a": 1}
    text = refused("key-taken", scm.tl.embed, cells, checkpoint=pretrained, key_added="mine")
    assert 'uns["mine"]' in text
    assert cells.uns["mine"] == {"a": 1} and not cells.obsm
    refused("key-added", scm.tl.embed, cells, checkpoint=pretrained, key_added="a/b")


def test_a_modality_that_keeps_its_own_leaves_all_as_it_was():
    cells, found = (mudata.MuData(simulate_rna_protein(6)) for _ in range(2))
    found.obsm["X_scm_joint"] = np.ones((6, 2))
    found.mod["rna"].var["scm_imputed_error"] = 0.5
    cells.mod["rna"].var["my_imputed_error"] = "mine"
    with pytest.raises(UserError, match="my_imputed_error"):
        add_results(cells, found, "my")
    assert "X_my_joint" not in cells.obsm
    assert set(cells.mod["rna"].var["my_imputed_error"]) == {"mine"}
    del cells.mod["rna"].var["my_imputed_error"]
    found.uns["scm"] = {"run_id": "1"}
    for _ in range(2):  # what was ours is replaced, in every part
        add_results(cells, found, "my")
    assert "X_my_joint" in cells.obsm and set(cells.mod["rna"].var["my_imputed_error"]) == {0.5}


def test_what_a_result_keeps_of_an_address_has_no_secrets():
    model = "https://me:pw@host/model?Signature=x"
    given = {"annotation": {"start": model, "seed": 1, "inputs": [model, {"rna": model}]}}
    bare = "https://host/model"
    assert flat_parameters(given, ("annotation",)) == {
        "annotation.start": bare,
        "annotation.seed": 1,
        "annotation.inputs": [bare, {"rna": bare}],
    }
    with _remembered("embed", ("adata", "checkpoint"), (), {"checkpoint": model}):
        assert called() == "embed(checkpoint='https://host/model')"


def test_a_layer_and_a_view_are_read(pretrained):
    cells = simulate_cells(20)
    cells.layers["raw_counts"], cells.X = cells.X, -cells.X
    part = cells[5:15]
    with pytest.warns(ad.ImplicitModificationWarning):  # it becomes cells of its own
        scm.tl.embed(part, checkpoint=pretrained, layer="raw_counts")
    assert part.obsm["X_scm"].shape[0] == 10 and "X_scm" not in cells.obsm
    assert part.uns["scm"]["expression"] == "layers[raw_counts]"


def test_a_model_that_was_saved_tells_the_same_again(trained):
    query = simulate_cells(30, seed=1)
    scm.tl.annotate(query, simulate_cells(90), label_key="cell_type", params=SHORT)
    again = simulate_cells(30, seed=1)
    del again.obs["cell_type"]
    scm.tl.annotate(again, checkpoint=trained)
    for key in ("X_scm", "scm_cell_type_probability"):
        assert np.array_equal(query.obsm[key], again.obsm[key])
    assert query.obs["scm_cell_type"].equals(again.obs["scm_cell_type"])


def test_only_control_cells_are_predicted_and_results_can_be_stored(tmp_path):
    cells = simulate_perturbed(cells=15, genes=80, targets=4)
    control = (cells.obs["perturbation"] == "control").to_numpy()
    names = sorted(set(cells.obs["perturbation"]) - {"control"})
    short = {"perturbation.fine_tune.max_epochs": 1, "perturbation.population.ensemble": 2}
    scm.tl.perturb(cells, names[0], params=short, save=tmp_path / "model")
    predicted = cells.layers["scm_predicted"]
    assert (cells.obs["scm_predicted"].to_numpy() == control).all()
    assert predicted[~control].nnz == 0 and predicted[control].nnz > 0
    scm.tl.reverse(cells, names[1], checkpoint=tmp_path / "model", candidates=names)
    ranking = cells.uns["scm_ranking"]
    assert set(ranking["perturbation"]) == set(names) and list(ranking["rank"]) == [1, 2, 3, 4]
    cells.write_h5ad(tmp_path / "cells.h5ad")
    stored = ad.read_h5ad(tmp_path / "cells.h5ad")
    genes = cells.uns["scm_predicted_genes"]
    assert len(genes) and list(stored.uns["scm_predicted_genes"].columns) == list(genes.columns)
    pd.testing.assert_frame_equal(stored.uns["scm_ranking"], ranking, check_index_type=False)


def test_what_means_nothing_is_refused(trained, tmp_path):
    cells = simulate_cells(12)
    refused("cells-kind", scm.tl.embed, "cells.h5ad")
    refused("cells-kind", scm.tl.multiome, cells)
    refused("options", scm.tl.annotate, cells)
    refused("options", scm.tl.annotate, cells, cells)
    refused("options", scm.tl.annotate, cells, checkpoint=trained, start="scm-tiny")
    refused("options", scm.tl.annotate, cells, cells, checkpoint=trained)
    refused("options", scm.tl.integrate, cells)
    refused("checkpoint-task", scm.tl.integrate, cells, checkpoint=trained)
    refused("label-missing", scm.tl.annotate, cells, cells, label_key="cell_typ")
    unknown = {"annotation.fine_tune.epochs": 1}
    text = refused("parameter-unknown", scm.tl.annotate, cells, checkpoint=trained, params=unknown)
    assert "annotation.fine_tune.epochs" in text
    text = refused("parameter-invalid", scm.tl.annotate, cells, checkpoint=trained, batch_size=0)
    assert "annotation.predict.batch_size = 0" in text
    assert list(cells.obs) == ["cell_type", "batch"] and not cells.uns
    cells.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    refused("cells-backed", scm.tl.embed, backed)


def test_names_of_several_levels_are_refused():
    several = simulate_cells(12)
    several.obs.index = pd.MultiIndex.from_product([["donor"], several.obs_names])
    refused("cells-names", scm.tl.embed, several)


def test_chance_and_torch_are_as_they_were():
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    threads = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()  # other tests may have asked for it
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads + 1)
    try:
        before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
        scm.tl.annotate(
            simulate_cells(9, seed=1), simulate_cells(60), label_key="cell_type", params=SHORT
        )
        assert random.getstate() == before[0]
        assert np.array_equal(np.random.get_state()[1], before[1])
        assert torch.equal(torch.get_rng_state(), before[2])
        assert torch.get_num_threads() == threads + 1
        assert not torch.are_deterministic_algorithms_enabled()
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict, warn_only=True)
