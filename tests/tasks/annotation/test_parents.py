import numpy as np
import pandas as pd
import pytest

from sc_mamba2 import tl
from sc_mamba2.cells import keys, simulate_cells
from sc_mamba2.cells.cell_ontology import load_cell_ontology
from sc_mamba2.tasks.annotation.annotator import LABEL, Annotator
from sc_mamba2.tasks.annotation.params import LabelParams
from sc_mamba2.tasks.annotation.parents import name_parents, parent_scores
from sc_mamba2.tasks.annotation.split import labelled

LABELS = ("CD4 T", "CD8 T", "Mono", "odd")
TERMS = load_cell_ontology().match(LABELS)
SETS = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 1, 1]], bool)


def test_one_type_stays_the_users_word_and_several_get_what_they_share():
    named = name_parents(SETS, LABELS, TERMS, None)
    assert named.tolist() == [
        "CD4 T",
        "mature alpha-beta T cell",
        "mononuclear leukocyte",
        "odd",
        None,
    ]


def test_where_the_ontology_says_nothing_the_users_broad_types_do():
    rollup = {"CD4 T": "lymphoid", "CD8 T": "lymphoid", "Mono": "myeloid", "odd": "myeloid"}
    assert name_parents(SETS, LABELS, TERMS, rollup)[4] == "myeloid"
    assert name_parents(SETS, LABELS, {}, rollup).tolist()[:3] == ["CD4 T", "lymphoid", None]


def calls(parents, sets):
    index = [str(i) for i in range(len(parents))]
    return pd.DataFrame({keys.TYPE_PARENT: parents, keys.TYPE_SET: sets}, index=index)


def test_a_parent_is_right_if_it_lies_above_the_truth():
    table = calls(
        ["CD4 T", "mature alpha-beta T cell", "mononuclear leukocyte", "odd", None],
        ["CD4 T", "CD4 T | CD8 T", "CD4 T | Mono", "odd", "Mono | odd"],
    )
    truth = pd.Series(["CD4 T", "CD8 T", "odd", "odd", "Mono"], index=table.index)
    scores = parent_scores(table, truth, LABELS, TERMS, None)
    assert scores == {
        "parent_share": 0.8,
        "several_share": 0.6,
        "several_parent_share": pytest.approx(2 / 3),
        "parent_accuracy": 0.75,
        "several_parent_accuracy": 0.5,
    }
    assert set(parent_scores(table, truth[:0], LABELS, TERMS, None)) == {
        "parent_share",
        "several_share",
        "several_parent_share",
    }


def test_a_truth_in_other_words_is_judged_by_the_ontology_alone():
    table = calls(["CD4 T"] * 5, ["CD4 T"] * 5)
    others = ["CD4 Naive T", "T cell", "B cell", "nobody knows", "CD8 T"]
    truth = pd.Series(others, index=table.index)
    # narrower and broader truths are right, a B cell and a known other type are not, the rest is unknown
    assert parent_scores(table, truth, LABELS, TERMS, None)["parent_accuracy"] == 0.5
    assert "parent_accuracy" not in parent_scores(table, truth[:4], LABELS, {}, None)


def test_a_label_whose_term_is_broader_than_its_meaning_is_no_parent_of_another():
    labels = ("T activated", "CD8 T")
    table = calls(["T activated"], ["T activated"])
    truth = pd.Series(["CD8 T"], index=table.index)
    terms = load_cell_ontology().match(labels)
    assert parent_scores(table, truth, labels, terms, None)["parent_accuracy"] == 0


def test_a_parent_that_is_also_a_label_is_right_of_what_lies_under_it():
    labels = ("T cell", "CD4 T", "CD8 T")
    table = calls(["T cell", "T cell"], ["CD4 T | T cell", "T cell"])
    truth = pd.Series(["CD8 T", "CD8 T"], index=table.index)
    scores = parent_scores(table, truth, labels, load_cell_ontology().match(labels), None)
    assert scores["several_parent_accuracy"] == 1 and scores["parent_accuracy"] == 0.5


def test_the_references_own_ids_are_kept_where_a_label_has_one():
    cells = simulate_cells(60)
    first, second = sorted(cells.obs["cell_type"].unique())[:2]
    ids = np.where(cells.obs["cell_type"] == first, "CL:0000084", "CL:0000236")
    ids[np.flatnonzero(cells.obs["cell_type"] == second)[0]] = "CL:0000576"
    cells.obs[keys.ONTOLOGY_IDS] = ids
    found = labelled(cells, LabelParams(key="cell_type")).uns["term_ids"]
    assert found[first] == "CL:0000084" and second not in found
    del cells.obs[keys.ONTOLOGY_IDS]
    assert labelled(cells, LabelParams(key="cell_type")).uns["term_ids"] == {}


@pytest.mark.parametrize("fit", ["consensus", "linear"])
def test_the_folder_keeps_the_ids_and_one_without_them_loads(fit, tmp_path):
    cells = simulate_cells(180, 120)
    reference, query = cells[:120].copy(), cells[120:].copy()
    types = sorted(reference.obs["cell_type"].unique())
    ids = ["CL:0000624", "CL:0000625", "CL:0000084", "CL:0000084"]
    reference.obs[keys.ONTOLOGY_IDS] = (
        reference.obs["cell_type"].map(dict(zip(types, ids, strict=False))).astype(str)
    )
    sure = {"annotation.calls.coverage": 0.999}  # every type in every set
    options = {"label_key": "cell_type", "save": tmp_path / "model", "fit": fit, "params": sure}
    annotated = tl.annotate(query, reference, copy=True, **options)
    again = tl.annotate(query, checkpoint=tmp_path / "model", copy=True)
    model = Annotator.from_pretrained(tmp_path / "model")
    assert model.term_ids == dict(zip(types, ids, strict=False)) == model.terms
    older = model.settings()
    del older["term_ids"]
    assert Annotator.from_settings(model.backbone, model.tokenizer, older).term_ids == {}
    if fit == "consensus":
        assert set(annotated.obs[keys.TYPE_PARENT]) == {"T cell"}
        assert annotated.obs[keys.TYPE_PARENT].equals(again.obs[keys.TYPE_PARENT])
    assert LABEL not in annotated.obs
