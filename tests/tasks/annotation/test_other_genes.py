"""A trained model and a query of other genes: its own genes stay, and its head is fitted to what is there."""

import numpy as np
import pytest

from sc_mamba2 import tl
from sc_mamba2.cells import keys, simulate_cells
from sc_mamba2.errors import UserError
from sc_mamba2.tasks.annotation.model import AnnotationModel
from sc_mamba2.tasks.annotation.other_genes import fit_to_genes
from sc_mamba2.tasks.shared.params import PredictParams
from sc_mamba2.training import ComputeOptions

SHORT = {
    "annotation.fine_tune.max_epochs": 1,
    "annotation.head.regularisation": (1.0,),
    "ingestion.species": "human",
    "validation.minimum_genes": 5,
}

CELLS = simulate_cells(90, 80)
REFERENCE, QUERY = CELLS[:60].copy(), CELLS[60:].copy()


def trained(folder, query, fit="linear"):
    """Train on simulated cells for a query, and read the folder."""
    reference = REFERENCE.copy()
    options = {"label_key": "cell_type", "save": folder, "fit": fit, "params": SHORT, "copy": True}
    tl.annotate(query, reference, **options)
    return AnnotationModel.from_pretrained(folder)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reuse") / "model"
    return folder, trained(folder, QUERY[:, :40].copy())


def test_a_folder_keeps_the_genes_that_its_first_query_lacks(saved, tmp_path):
    _, model = saved
    other = trained(tmp_path / "model", QUERY.copy())
    assert model.tokenizer.vocabulary.ids == other.tokenizer.vocabulary.ids
    assert model.sha256() == other.sha256()


def test_kept_cells_are_written_and_read_and_of_every_type(saved):
    _, model = saved
    kept = model.kept_cells()
    assert len(kept) == 60 and set(kept.obs["label"]) == set(model.labels)
    assert len(model.gene_weights()) == model.tokenizer.vocabulary.size


def test_the_whole_file_leaves_the_head_and_a_part_of_it_fits_it_anew(saved):
    folder, _ = saved
    query = QUERY.copy()
    whole = tl.annotate(query, checkpoint=folder, copy=True, params=SHORT)
    part = tl.annotate(query[:, ::2].copy(), checkpoint=folder, copy=True, params=SHORT)
    truth = query.obs["cell_type"].to_numpy(str)
    for annotated in (whole, part):
        assert (annotated.obs[keys.CELL_TYPE].to_numpy(str) == truth).mean() > 0.8


@pytest.mark.parametrize("fit", ["linear", "prototypes", "network"])
def test_a_fitted_head_gives_genes_that_are_not_there_no_weight(tmp_path, fit):
    model = trained(tmp_path / "model", QUERY.copy(), fit)
    ids = np.asarray(model.tokenizer.vocabulary.ids)[model.tokenizer.vocabulary.gene_rows]
    there = ids[: len(ids) // 2]
    before = model.sha256()
    fitted = fit_to_genes(model, there, PredictParams(), ComputeOptions(device="cpu"))
    assert model.sha256() == before
    rows = model.tokenizer.vocabulary.rows_of(ids[len(ids) // 2 :])
    np.testing.assert_allclose(fitted.readout_VK.detach().numpy()[rows], 0, atol=1e-6)
    assert not fitted.training


def test_a_query_of_too_few_genes_is_refused_by_both_doors_before_training(saved):
    folder, _ = saved
    query = QUERY[:, :2].copy()
    params = SHORT | {"validation.minimum_genes": 1}
    with pytest.raises(UserError, match="model-genes"):
        tl.annotate(query, checkpoint=folder, params=params)
    with pytest.raises(UserError, match="model-genes"):
        tl.annotate(query, REFERENCE.copy(), label_key="cell_type", params=params)
    lower = params | {"validation.minimum_weight_share": 0.0}
    assert tl.annotate(query, checkpoint=folder, params=lower, copy=True) is not None
