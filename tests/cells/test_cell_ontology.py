import anndata as ad
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from sc_mamba2.cells import cell_ontology
from sc_mamba2.cells.cell_ontology import TOO_GENERAL, CellOntology, load_cell_ontology

ONTOLOGY = load_cell_ontology()
NO_WORDS = pd.DataFrame(columns=["words", "name", "beside", "without"])


def names(labels, known=None):
    return {label: ONTOLOGY.names[ident] for label, ident in ONTOLOGY.match(labels, known).items()}


def common(*labels):
    ident = ONTOLOGY.common_parent(ONTOLOGY.match(labels).values())
    return None if ident is None else ONTOLOGY.names[ident]


def test_every_name_of_the_tables_is_one_of_the_ontology_under_words_that_can_be_found():
    for key, name, beside, without in ONTOLOGY._words:
        assert name in ONTOLOGY.id_of_name
        for words in {key} | beside | without:
            assert cell_ontology._key(words) == words
    assert set(ONTOLOGY.id_of_name) >= TOO_GENERAL


def test_every_term_is_found_by_its_id_and_by_its_name():
    assert ONTOLOGY.match(ONTOLOGY.names) == {ident: ident for ident in ONTOLOGY.names}
    assert ONTOLOGY.match(ONTOLOGY.id_of_name) == ONTOLOGY.id_of_name


@pytest.mark.parametrize(
    ("label", "name"),
    {
        "CL:0000084": "T cell",
        "t_cells": "T cell",
        "T-lymphocyte": "T cell",
        "T lymphocytes": "T cell",
        "Monocytes": "monocyte",
        "CD14+ Monocyte": "CD14-positive monocyte",
        "CD14+ Mono": "CD14-positive monocyte",
        "CD4 T": "CD4-positive, alpha-beta T cell",
        "CD8+ αβ T cells": "CD8-positive, alpha-beta T cell",
        "γδ T": "gamma-delta T cell",
        "Memory_CD4+_T": "CD4-positive, alpha-beta memory T cell",
        "NK": "natural killer cell",
        "NK CD158e1+": "natural killer cell",
        "CD8+ T CD57+ CD45RA+": "CD8-positive, alpha-beta T cell",
        "Plasmablast IGKC-": "plasmablast",
        "CD4- T": "T cell",
        "Endothelial": "endothelial cell",
        "schwann": "Schwann cell",
        "DC2": "conventional dendritic cell",
        "red blood cells": "erythrocyte",
    }.items(),
)
def test_a_label_is_read_as_the_field_writes_it(label, name):
    assert names([label]) == {label: name}


@pytest.mark.parametrize(
    "label",
    [
        "",
        "+",
        "cells",
        "alpha",
        "delta",
        "CD34+",
        "CD14+",
        "HSC",
        "IPC",
        "D",
        "12",
        "A549",
        "unknown",
        "cluster 3",
        "doublet",
        "T cell / B cell",
    ],
)
def test_a_label_that_says_no_one_type_is_left_out(label):
    assert names([label]) == {}


def test_one_letter_is_a_type_only_where_no_others_are_letters():
    assert names(["B", "T"]) == {"B": "B cell", "T": "T cell"}
    assert names(["A", "B", "C"]) == {}


def test_some_labels_mean_a_type_only_beside_others():
    assert names(["alpha", "beta", "PP"])["alpha"] == "pancreatic A cell"
    assert "CD34+" in names(["B cell", "T cell", "NK", "CD34+"])
    liver = ["B", "T", "NK", "Hepatocytes", "HSC"]
    assert set(names(liver)) == {"B", "T", "NK", "Hepatocytes"}
    both = names(["CD14 Mono", "CD16 Mono"])
    assert both["CD14 Mono"] == "CD14-positive, CD16-negative classical monocyte"


def test_the_id_that_the_file_gives_comes_before_the_name():
    assert names(["B", "12"], {"B": "CL:0000786", "12": "CL:0000084"}) == {
        "B": "plasma cell",
        "12": "T cell",
    }
    assert names(["B", "12"], {"B": "unknown", "12": "CL:9"}) == {"B": "B cell"}


@pytest.mark.parametrize(
    ("labels", "parent"),
    [
        (("CD4 T", "CD8 T"), "mature alpha-beta T cell"),
        (("CD4 Naive T", "CD4 Memory T"), "CD4-positive, alpha-beta T cell"),
        (("CD8 T", "NK"), "lymphocyte"),
        (("CD14 Mono", "CD16 Mono"), "monocyte"),
        (("DC", "CD14 Mono"), "mononuclear phagocyte"),
        (("Mono", "Mono", "T"), "mononuclear leukocyte"),
        (("alpha", "beta"), "pancreatic endocrine cell"),
        (("alpha", "beta", "acinar"), "epithelial cell of pancreas"),
        (("T cell", "CD4 T"), "T cell"),
        (("neuron", "T cell"), None),
        (("fibroblast", "macrophage"), None),
        (("HSC", "erythroblast", "T cell"), "hematopoietic cell"),
    ],
)
def test_what_types_have_in_common(labels, parent):
    assert common(*labels) == parent


@given(st.data())
def test_the_common_parent_is_a_lowest_common_ancestor_by_brute_force(data):
    size = data.draw(st.integers(1, 12))
    parents = [
        st.sets(st.integers(0, i - 1), max_size=3) if i else st.just(set()) for i in range(size)
    ]
    above = data.draw(st.tuples(*parents))
    general = data.draw(st.booleans())
    table = pd.DataFrame(
        {
            "id": [f"CL:{i:02}" for i in range(size)],
            "name": ["cell" if general and i == 0 else f"type {i}" for i in range(size)],
            "synonyms": "",
            "parents": ["|".join(f"CL:{p:02}" for p in sorted(own)) for own in above],
        }
    )
    chosen = data.draw(st.sets(st.integers(0, size - 1), min_size=1))
    # a lies over b if a chain of parents leads from b to a, tried to the end
    over = {(i, i) for i in range(size)} | {(p, i) for i in range(size) for p in above[i]}
    for _ in range(size):
        over |= {(a, c) for a, b in over for d, c in over if b == d}
    shared = [a for a in range(size) if all((a, i) in over for i in chosen)]
    lowest = [a for a in shared if not any(a != b and (a, b) in over for b in shared)]
    below = {a: sum((a, i) in over for i in range(size)) for a in range(size)}
    lowest = [a for a in lowest if not (general and a == 0)]
    expected = min(lowest, key=lambda a: (below[a], a), default=None)
    ontology = CellOntology(table, NO_WORDS)
    assert ontology.common_parent(f"CL:{i:02}" for i in chosen) == (
        None if expected is None else f"CL:{expected:02}"
    )
    for i in range(size):
        assert ontology.ancestors(f"CL:{i:02}") == {f"CL:{a:02}" for a, b in over if b == i}


@pytest.mark.parametrize(
    ("file", "column", "unmatched"),
    [
        ("kang_ifnb_pbmc", "cell_type", set()),
        ("kang_ifnb_pbmc", "cell_type_broad", set()),
        ("zheng_facs_pbmc", "cell_type", set()),
        ("zheng_facs_pbmc", "cell_type_broad", set()),
        ("pancreas_panc8_1000x1000", "cell_type", set()),
        ("onek1k_40donors_1000genes", "cell_type", set()),
        ("mudan_sorted_pbmc_reference", "cell_type", set()),
        ("bmmc_cite_rna", "cell_type", {"B1 B IGKC+", "B1 B IGKC-"}),
        ("pbmc_cite_5k10k_rna", "cell_type_protein_gated", {"unassigned"}),
        ("sc_mixology_celllines", "cell_type", {"H1975", "H2228", "HCC827", "H838", "A549"}),
    ],
)
def test_the_labels_of_real_studies_are_found(shared_data, file, column, unmatched):
    cells = ad.read_h5ad(shared_data / f"{file}.h5ad", backed="r")
    labels = set(map(str, cells.obs[column].dropna().unique()))
    cells.file.close()
    assert labels - set(ONTOLOGY.match(labels)) == unmatched
