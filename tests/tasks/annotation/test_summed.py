"""A consensus that keeps sums: no cell is in the folder, and it calls as well."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from sc_mamba2 import tl
from sc_mamba2.cells import keys, simulate_cells
from sc_mamba2.errors import UserError
from sc_mamba2.methods.sums_of_cells import MIN_CELLS
from sc_mamba2.tasks.annotation.annotator import Annotator
from sc_mamba2.tasks.annotation.summed import SummedConsensus
from sc_mamba2.tasks.shared.parameters import build_parameters
from sc_mamba2.tl.annotation import GROUPS

CELLS = simulate_cells(260, 120)
REFERENCE, QUERY = CELLS[:200].copy(), CELLS[200:].copy()
SUMS = {"annotation.head.keeps": "sums"}


def accuracy(annotated):
    truth = annotated.obs["cell_type"].to_numpy(str)
    return (annotated.obs[keys.CELL_TYPE].to_numpy(str) == truth).mean()


@pytest.fixture(scope="module")
def called(tmp_path_factory):
    folder = tmp_path_factory.mktemp("summed") / "model"
    options = {"label_key": "cell_type", "save": folder, "copy": True, "params": SUMS}
    return folder, tl.annotate(QUERY.copy(), REFERENCE.copy(), **options)


def test_it_calls_and_its_folder_calls_again_to_the_bit(called):
    folder, annotated = called
    assert accuracy(annotated) > 0.9
    again = tl.annotate(QUERY.copy(), checkpoint=folder, copy=True)
    assert np.array_equal(again.obsm[keys.PROBABILITY], annotated.obsm[keys.PROBABILITY])


def test_a_copy_of_the_folder_is_the_same(called, tmp_path):
    folder, _ = called
    model = Annotator.from_pretrained(folder)
    model.save_pretrained(tmp_path / "copy")
    again = Annotator.from_pretrained(tmp_path / "copy")
    assert isinstance(again, SummedConsensus) and again.sha256() == model.sha256()
    for one, other in zip(model.buffers(), again.buffers(), strict=True):
        assert bool((one == other).all())


def test_nothing_in_the_folder_is_of_one_cell_s_expression(called):
    folder, _ = called
    tensors = load_file(folder / "model.safetensors")
    assert not [name for name in tensors if name.startswith("kept_")]
    sizes_S = tensors["sum_sizes_S"]
    assert sizes_S.min() >= MIN_CELLS and sizes_S.sum() == REFERENCE.n_obs
    wide = [n for n, t in tensors.items() if t.shape[-1:] == (tensors["sums_SV"].shape[1],)]
    assert set(wide) == {"sums_SV", "expressed_SV"}


def test_the_sums_are_those_of_the_reference(called):
    folder, _ = called
    model = Annotator.from_pretrained(folder)
    ids = [str(ident) for ident in model.tokenizer.vocabulary.ids]
    sums_V = np.expm1(model.sums_SV.numpy().astype(np.float64)).round().sum(axis=0)
    by_gene = dict(zip(ids, sums_V, strict=True))
    whole = np.asarray(REFERENCE.X.sum(axis=0)).ravel()
    ids_of = REFERENCE.var.get("ensembl_id", REFERENCE.var_names)
    known = [(by_gene[i], w) for i, w in zip(ids_of, whole, strict=True) if i in by_gene]
    assert len(known) > 50
    np.testing.assert_allclose(*np.array(known).T, rtol=0.005)


def test_a_query_of_half_the_genes_is_called(called):
    folder, _ = called
    part = QUERY[:, ::2].copy()
    assert accuracy(tl.annotate(part, checkpoint=folder, copy=True)) > 0.8


def test_a_type_of_few_cells_and_values_without_counts_are_refused(tmp_path):
    few = REFERENCE.copy()
    few.obs["cell_type"] = few.obs["cell_type"].astype(str)
    few.obs.iloc[:3, few.obs.columns.get_loc("cell_type")] = "rare"
    options = {"label_key": "cell_type", "save": tmp_path / "model", "copy": True, "params": SUMS}
    with pytest.raises(UserError, match=r"sums-of-counts") as caught:
        tl.annotate(QUERY.copy(), few, **options)
    assert "rare (3)" in str(caught.value)
    plain = REFERENCE.copy()
    plain.X = (plain.X.multiply(1e4 / plain.X.sum(axis=1))).tocsr().log1p()
    options["params"] = SUMS | {"ingestion.holds": "log_normalised"}
    with pytest.raises(UserError, match="without counts"):
        tl.annotate(QUERY.copy(), plain, **options)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    "beside", [{"annotation.head.fit": "gradient"}, {"annotation.backbone.checkpoint": "scm-tiny"}]
)
def test_sums_stay_with_a_plain_consensus_alone(beside):
    with pytest.raises(UserError, match="Sums can be kept"):
        build_parameters(GROUPS, SUMS | beside)


def test_half_precision_keeps_counts_to_250_exactly_and_others_within_four_in_a_thousand():
    counts = np.concatenate([np.arange(251), np.geomspace(251, 1e6, 500).round()])
    stored = np.expm1(np.log1p(counts).astype(np.float16).astype(np.float64)).round()
    np.testing.assert_array_equal(stored[:251], counts[:251])
    np.testing.assert_allclose(stored[251:], counts[251:], rtol=0.004, atol=0.5)
