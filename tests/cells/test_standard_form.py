"""The standard form does not depend on how a file was written, and says what it left out."""

import json
from functools import cache

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from scipy import sparse
from tests.properties import promised

from sc_mamba2.cells import (
    CellsContract,
    check_matched,
    human_cells,
    simulate_cells,
    standardise,
)
from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table

TABLE = load_gene_table()


def assert_same(left: ad.AnnData, right: ad.AnnData) -> None:
    pd.testing.assert_frame_equal(left.var, right.var)
    pd.testing.assert_frame_equal(left.obs, right.obs)
    assert np.array_equal(left.X.toarray(), right.X.toarray())
    assert np.array_equal(left.layers["counts"].toarray(), right.layers["counts"].toarray())


@cache
def standard_cells() -> ad.AnnData:
    """Return the standard form of cells that nothing was done to."""
    return standardise(simulate_cells(12, 9), TABLE)[0]


def renamed(cells: ad.AnnData, names) -> ad.AnnData:
    """Give the columns other names; only the names, no columns beside them."""
    return ad.AnnData(X=cells.X, obs=cells.obs, var=pd.DataFrame(index=[str(n) for n in names]))


def with_column(cells: ad.AnnData, name: str, counts: np.ndarray, at: int = 0) -> ad.AnnData:
    columns = list(cells.var_names)
    matrix = np.insert(cells.X.toarray(), at, counts, axis=1)
    return ad.AnnData(
        X=sparse.csr_matrix(matrix),
        obs=cells.obs,
        var=pd.DataFrame(index=[*columns[:at], name, *columns[at:]]),
    )


def test_the_standard_form(cells):
    standard, report = standardise(cells, TABLE)
    CellsContract().validate(standard)
    assert list(standard.var_names) == list(cells.var_names)
    assert list(standard.var["symbol"]) == list(cells.var["symbol"])
    assert standard.uns["scm"] == {"expression": "X", "kind": "counts"}
    assert np.array_equal(standard.layers["counts"].toarray(), cells.X.toarray())
    assert report["genes"]["kept"] == 9 and report["values_kept_share"] == 1
    assert json.loads(json.dumps(report)) == report


def test_obs_is_kept_and_the_input_is_not_changed(cells):
    cells.obs["score"] = np.arange(12.0)
    cells.uns["mine"] = 1
    before = cells.copy()
    standard, _ = standardise(cells, TABLE)
    standard.obs["score"] = 0.0
    standard.X.data[:] = 0
    pd.testing.assert_frame_equal(cells.obs, before.obs)
    pd.testing.assert_frame_equal(cells.var, before.var)
    assert np.array_equal(cells.X.toarray(), before.X.toarray())
    assert dict(cells.uns) == {"mine": 1} and not cells.layers


@promised
@given(
    st.permutations(range(9)),
    st.sampled_from([sparse.csr_matrix, sparse.csc_matrix, sparse.csr_matrix.toarray]),
)
def test_neither_the_order_of_genes_nor_the_form_of_the_matrix_changes_anything(order, form):
    cells = simulate_cells(12, 9)
    other = cells[:, order].copy()
    other.X = form(other.X)
    assert_same(standard_cells(), standardise(other, TABLE)[0])


@promised
@given(st.integers(0, 9), st.sampled_from(["Unknown1", "ENSG99999999999", "tdTomato"]))
def test_unknown_genes_without_counts_change_nothing(at, name):
    cells = simulate_cells(12, 9)
    cells = renamed(cells, cells.var_names)
    with_unknown = with_column(cells, name, np.zeros(12), at)
    standard, report = standardise(with_unknown, TABLE)
    assert_same(standard, standardise(cells, TABLE)[0])
    assert report["genes"]["unknown"] == 1 and report["genes"]["dropped"] == 1
    assert (
        name
        in report["dropped_examples"]["unknown_id"] + report["dropped_examples"]["unknown_symbol"]
    )


def test_counts_of_unknown_genes_belong_to_the_total(cells):
    standard, report = standardise(with_column(cells, "Unknown1", np.full(12, 50)), TABLE)
    totals = cells.X.toarray().sum(axis=1, keepdims=True) + 50
    np.testing.assert_allclose(
        standard.X.toarray(), np.log1p(cells.X.toarray() * 1e4 / totals), rtol=1e-6
    )
    assert 0 < report["values_kept_share"] < 1


def test_the_same_genes_under_every_kind_of_name(cells):
    expected = standardise(cells, TABLE)[0]
    ids, symbols = list(cells.var_names), list(cells.var["symbol"])
    versioned = renamed(cells, [f"{ident}.{place + 1}" for place, ident in enumerate(ids)])
    by_symbol = renamed(cells, symbols)
    mixed = renamed(cells, [*ids[:5], *symbols[5:]])
    for other in (versioned, by_symbol, mixed):
        assert_same(standardise(other, TABLE)[0], expected)


@pytest.mark.parametrize("column", ["ensembl_id", "feature_id", "gene_ids"])
def test_ids_in_a_column(cells, column):
    other = renamed(cells, [f"gene {place}" for place in range(9)])
    other.var[column] = list(cells.var_names)
    assert_same(standardise(other, TABLE)[0], standardise(cells, TABLE)[0])


def test_a_gene_without_an_id_is_found_by_its_symbol(cells):
    other = renamed(cells, cells.var["symbol"])
    other.var["gene_ids"] = [None, "", *cells.var_names[2:]]
    assert_same(standardise(other, TABLE)[0], standardise(cells, TABLE)[0])


@pytest.mark.parametrize("column", ["symbol", "gene_symbols", "feature_name", "gene_name"])
def test_an_unknown_id_is_found_by_its_symbol(cells, column):
    ids = list(cells.var_names)
    other = renamed(cells, ["ENSG99999999999", *ids[1:]])
    other.var[column] = list(cells.var["symbol"])
    assert_same(standardise(other, TABLE)[0], standardise(cells, TABLE)[0])


@pytest.mark.parametrize("at", [0, 9])
def test_of_two_columns_for_one_gene_the_richer_is_kept(cells, at):
    cells = renamed(cells, cells.var_names)
    poor = with_column(cells, cells.var_names[3] + ".7", np.zeros(12), at)
    standard, report = standardise(poor, TABLE)
    assert_same(standard, standardise(cells, TABLE)[0])
    assert report["genes"]["duplicate"] == 1 and report["genes"]["kept"] == 9
    rich = with_column(cells, cells.var_names[3] + ".7", np.full(12, 999), at)
    kept = standardise(rich, TABLE)[0].layers["counts"].toarray()
    assert (kept[:, 3] == 999).all()


@pytest.mark.parametrize("at", [0, 9])
def test_of_two_equally_rich_columns_the_name_decides(cells, at):
    cells = renamed(cells, cells.var_names)
    turned = cells.X.toarray()[::-1, 3]
    tie = with_column(cells, cells.var_names[3] + ".7", turned, at)
    kept = standardise(tie, TABLE)[0].layers["counts"].toarray()
    assert np.array_equal(kept[:, 3], cells.X.toarray()[:, 3])


def test_log_normalised_cells_have_no_counts(cells):
    logged = standardise(cells, TABLE)[0]
    del logged.layers["counts"]
    standard, report = standardise(logged, TABLE)
    assert report["expression"]["kind"] == "log_normalised"
    assert "counts" not in standard.layers
    assert np.array_equal(standard.X.toarray(), logged.X.toarray())


def test_the_named_layer_is_taken(cells):
    cells.layers["other"] = cells.X * 2
    standard, report = standardise(cells, TABLE, layer="other")
    assert report["expression"]["origin"] == "layers[other]"
    assert np.array_equal(standard.layers["counts"].toarray(), 2 * cells.X.toarray())


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (["Cd3e", "Cd4", "Cd8a", "Ms4a1", "Nkg7", "Lyz2", "Gnly", "Actb", "Gapdh"], "mouse"),
        ([f"ENSMUSG{place:011d}" for place in range(9)], "mouse"),
        ([f"{place + 1}-Mar" for place in range(9)], "spreadsheet"),
        ([f"thing {place}" for place in range(9)], "transposed"),
        ([f"ENSRNOG{place:011d}" for place in range(9)], "unsupported species"),
        ([f"ENST{place:011d}.2" for place in range(9)], "transcripts"),
        ([f"NM_{place:06d}.2" for place in range(9)], "transcripts"),
        ([str(5000 + place) for place in range(9)], 'var["symbol"]'),
    ],
)
def test_no_gene_known(cells, names, hint):
    with pytest.raises(UserError) as caught:
        standardise(renamed(cells, names), TABLE)
    assert caught.value.rule == "genes-unmatched" and hint in caught.value.mend
    assert names[0] in caught.value.found


def test_a_few_known_genes_are_enough(cells):
    names = [cells.var_names[0], *(f"thing {place}" for place in range(8))]
    standard, report = standardise(renamed(cells, names), TABLE)
    assert standard.shape == (12, 1) and report["genes"]["dropped"] == 8
    assert len(report["dropped_examples"]["unknown_symbol"]) == 5


def test_features_that_are_no_genes_are_left_out():
    cells = simulate_cells(12, 90)
    cells.var["feature_types"] = ["Gene Expression"] * 60 + ["Antibody Capture"] * 30
    genes_alone = standardise(cells[:, :60].copy(), load_gene_table())[0]
    standard, report = standardise(cells, load_gene_table())
    assert report["genes"]["total"] == 60
    assert (standard.X != genes_alone.X).nnz == 0


def two_species(human_cells: int, other_cells: int, names: str, genes: int = 120) -> ad.AnnData:
    """Cells of which the last ones express genes of the mouse."""
    chance = np.random.default_rng(0)
    human = simulate_cells(human_cells + other_cells, genes)
    own, other = human.X.toarray(), chance.poisson(0.8, human.shape).astype("f4")
    own[human_cells:] = chance.poisson(0.02, (other_cells, genes))
    other[:human_cells] = chance.poisson(0.01, (human_cells, genes))
    symbols = [str(name) for name in human.var["symbol"]]
    first, second = {
        "prefixed": (
            [f"GRCh38_{name}" for name in symbols],
            [f"mm10___{name.title()}" for name in symbols],
        ),
        "ids": (list(human.var_names), [f"ENSMUSG{place:011d}" for place in range(genes)]),
        "rat": (list(human.var_names), [f"ENSRNOG{place:011d}" for place in range(genes)]),
        "prefixed ids": (
            [f"hg19_{name}" for name in human.var_names],
            [f"mm10_ENSMUSG{place:011d}" for place in range(genes)],
        ),
        "symbols": (symbols, [name.title() for name in symbols]),
    }[names]
    return ad.AnnData(
        sparse.csr_matrix(np.hstack([own, other])),
        obs=human.obs,
        var=pd.DataFrame(index=[*first, *second]),
    )


@pytest.mark.parametrize("names", ["prefixed", "ids", "rat", "prefixed ids", "symbols"])
@pytest.mark.parametrize("others", [1, 20])
def test_cells_of_another_species_are_refused_and_the_mend_keeps_the_rest(names, others):
    cells = two_species(40, others, names)
    with pytest.raises(UserError) as caught:
        standardise(cells, load_gene_table())
    assert caught.value.rule == "species"
    assert caught.value.found.startswith(f"{others} of {40 + others} cells")
    human = cells[human_cells(cells)].copy()
    standard, report = standardise(human, load_gene_table())
    assert standard.n_obs == 40 and report["genes"]["foreign"] > 50
    assert "genes-foreign" in [remark["rule"] for remark in report["remarks"]]
    check_matched(report["genes"], 0.5, 50)


@pytest.mark.parametrize(("ids", "symbols"), [("index", "symbol"), ("gene_ids", "index")])
def test_ids_beside_symbols_of_other_genes_are_refused(ids, symbols):
    cells = simulate_cells(12, 60)
    names = {ids: list(cells.var_names), symbols: np.roll(cells.var["symbol"].astype(str), 1)}
    other = renamed(cells, names.pop("index"))
    other.var = other.var[[]].assign(**names)
    with pytest.raises(UserError) as caught:
        standardise(other, TABLE)
    assert caught.value.rule == "genes-conflict" and "100%" in caught.value.found


def test_columns_of_one_gene_that_are_left_out_are_counted():
    cells = simulate_cells(12, 60)
    twice = ad.concat([cells, cells], axis="var", merge="first")
    (remark,) = standardise(renamed(twice, [*cells.var_names] * 2), TABLE)[1]["remarks"]
    assert remark["rule"] == "genes-duplicate"
    assert "60 columns" in remark["remark"] and "50.0%" in remark["remark"]


def test_dates_among_good_names_are_named(cells):
    lost = ["1-Mar", "2-Sep", "Sep-03", *cells.var_names[3:]]
    remark = standardise(renamed(cells, lost), TABLE)[1]["remarks"][0]
    assert remark["rule"] == "genes-dates" and "3 genes" in remark["remark"]


@pytest.mark.parametrize("column", ["features", "Gene", "_index_", "gene.name", "hgnc", "0"])
@pytest.mark.parametrize("what", ["ids", "symbols", "bytes"])
def test_names_in_any_column_of_text(column, what):
    cells = simulate_cells(12, 60)
    ids, symbols = list(cells.var_names), [str(name) for name in cells.var["symbol"]]
    names = {"ids": ids, "symbols": symbols, "bytes": [name.encode() for name in symbols]}[what]
    other = renamed(cells, range(60))
    other.var["score"] = 1.5
    other.var["colour"] = "red"
    other.var[column] = names
    standard, report = standardise(other, TABLE)
    assert_same(standard, standardise(cells, TABLE)[0])
    assert "genes-column" in [remark["rule"] for remark in report["remarks"]]


def test_symbols_of_other_genes_in_a_column_of_another_name_are_no_conflict():
    cells = simulate_cells(12, 60)
    other = renamed(cells, cells.var_names)
    other.var["nearest_gene"] = np.roll(cells.var["symbol"].astype(str), 1)
    assert_same(standardise(other, TABLE)[0], standardise(cells, TABLE)[0])
