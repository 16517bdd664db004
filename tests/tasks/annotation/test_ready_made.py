"""The annotators that come along: by name, without a reference, beside the cells of another study."""

import pytest
import scanpy as sc
from tests.cli import entered, refused

from sc_mamba2 import tl
from sc_mamba2.cells import keys, read_cells
from sc_mamba2.model import checkpoint_folder
from sc_mamba2.tasks.annotation.annotator import Annotator
from sc_mamba2.tasks.annotation.summed import SummedConsensus

NAMES = ("blood", "pancreas")
# Of the embedded cells; those that are called CD14+ express FCGR3A, not CD14.
EXPECTED = {
    "CD19+ B": {"B cell"},
    "CD56+ NK": {"NK cell"},
    "CD34+": {"hematopoietic stem cell"},
    "CD14+ Monocyte": {"CD14 monocyte", "CD16 monocyte"},
    "CD4+/CD25 T Reg": {"T cell"},
    "CD8+/CD45RA+ Naive Cytotoxic": {"T cell"},
}


# That of blood takes seconds to load: below it calls cells.
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "blood")) for name in NAMES]
)
def test_each_is_small_holds_no_cell_and_its_card_says_what_it_is(name):
    folder = checkpoint_folder(name)
    assert sum(file.stat().st_size for file in folder.iterdir()) < 10e6
    model = Annotator.from_pretrained(name)
    assert isinstance(model, SummedConsensus)
    assert set(model.terms) == set(model.labels), "every type has a term of the Cell Ontology"
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    for label in model.labels:
        assert f"- {label} (CL:" in card
    for word in ("On studies that it had not seen", "logistic regression", "Limits", "GEO"):
        assert word in card


def test_the_list_shows_them():
    listed = entered("model", "list", "--json").output
    for name in NAMES:
        assert f'"{name}"' in listed


def test_blood_calls_the_embedded_cells_by_name():
    cells = read_cells("scanpy:pbmc68k_reduced")
    tl.annotate(cells, checkpoint="blood")
    calls = cells.obs
    types = calls["bulk_labels"].astype(str)
    for label, expected in EXPECTED.items():
        right = calls.loc[types == label, keys.CELL_TYPE].astype(str).isin(expected)
        assert right.mean() > 0.75, label


@pytest.mark.slow
def test_blood_of_another_chemistry_has_hardly_any_precursors(shared_data):
    cells = read_cells(str(shared_data / "pbmc_hao_1000.h5ad"))
    tl.annotate(cells, checkpoint="blood")
    called = cells.obs[keys.CELL_TYPE].astype(str).to_numpy()
    expresses = {gene: cells[:, gene].X.toarray().ravel() > 0 for gene in ("CD34", "LILRA4")}
    precursors = called == "hematopoietic stem cell"
    assert precursors.sum() < 12 and (expresses["CD34"] & precursors).sum() >= 3
    plasmacytoid = expresses["LILRA4"] & (called == "plasmacytoid dendritic cell")
    assert plasmacytoid.sum() > (expresses["LILRA4"] & precursors).sum()


@pytest.mark.slow
def test_a_query_of_too_few_genes_is_refused(tmp_path):
    cells = sc.datasets.pbmc68k_reduced().raw.to_adata()
    cells[:50, :120].copy().write_h5ad(tmp_path / "few.h5ad")
    words = "annotate", tmp_path / "few.h5ad", "--model", "pancreas", "-o", tmp_path / "out.h5ad"
    assert "genes of the model" in refused(*words, rule="model-genes", folder=tmp_path)


def test_a_pretrained_checkpoint_is_no_annotator(tmp_path):
    words = "annotate", "scanpy:pbmc68k_reduced", "--output", tmp_path / "out.h5ad"
    refused(*words, "--model", "scm-tiny", rule="checkpoint-task")
