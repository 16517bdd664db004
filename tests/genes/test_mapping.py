"""Names to genes: every status, what is never guessed, and real gene names."""

from collections import Counter

import anndata as ad
import pytest
import scanpy as sc
from hypothesis import given, strategies as st
from tests.properties import promised

from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table, map_genes

TABLE = load_gene_table()
STATUS = {
    "ENSG00000000001": ("id", 0),
    "ENSG00000000002.7": ("id", 1),
    "ENSG00000000003.12_PAR_Y": ("id", 2),
    "ENSG00000000003.12_5": ("id", 2),
    "B_ENSG00000000003": ("id", 2),
    " ENSG00000000004\n": ("id", 3),
    "ENSG00000000092.1": ("alias_id", 0),
    "ENSG00000000082.1": ("retired", -1),
    "ENSG00000000099": ("unknown_id", -1),
    "A": ("symbol", 0),
    " D ": ("symbol", 4),
    "OLD": ("alias_symbol", 0),
    "B": ("ambiguous", -1),
    "SHARED": ("ambiguous", -1),
    "LOST": ("ambiguous", -1),
    "GONE": ("unknown_symbol", -1),
    "": ("unknown_symbol", -1),
    "nan": ("unknown_symbol", -1),
    "ENSG0000000001": ("unknown_symbol", -1),
    "ENSMUSG00000000001": ("unknown_symbol", -1),
}
real_ids = st.sampled_from([*TABLE.ids[::97], *TABLE.row_of_alias_id, *TABLE.retired])
real_names = st.one_of(
    real_ids,
    st.sampled_from([*TABLE.symbols[::97], *list(TABLE.row_of_alias_symbol)[::97]]),
    st.text(max_size=8),
)


@pytest.mark.parametrize("name", STATUS)
def test_status_of_each_kind_of_name(small_table, name):
    mapping = map_genes([name], small_table)
    status, row = STATUS[name]
    assert (mapping.status[0], mapping.rows[0]) == (status, row)
    assert mapping.ensembl_ids[0] == (small_table.ids[row] if row >= 0 else "")


def test_counts(small_table):
    mapping = map_genes(list(STATUS), small_table)
    assert mapping.counts() == {
        "total": 20,
        "matched": 10,
        "matched_by_id": 6,
        "matched_by_symbol": 2,
        "matched_by_alias": 2,
        "ambiguous": 3,
        "retired": 1,
        "no_partner": 0,
        "unknown": 6,
        "duplicate": 5,
    }
    assert mapping.counts()["matched"] * 2 == len(mapping.names)
    assert mapping.examples("ambiguous", 2) == ["B", "SHARED"]
    assert mapping.examples("retired") == ["ENSG00000000082.1"]


@pytest.mark.parametrize("name", ["Cd3e", "cd3e", "CD3E.1", "CD3E-1", "CD3E_1", "Ms4a1"])
def test_case_and_counters_are_never_guessed_away(name):
    assert map_genes([name, "CD3E"], TABLE).status.tolist() == ["unknown_symbol", "symbol"]


def test_fallback_is_tried_only_where_the_first_name_failed(small_table):
    first = ["ENSG00000000001", "ENSG00000000082", "ENSG00000000099", " ", "B", ""]
    second = ["C", "D", "nothing", "B", "OLD", "ENSG00000000099"]
    mapping = map_genes(first, small_table, second)
    assert mapping.rows.tolist() == [0, 4, -1, -1, 0, -1]
    # without any match the first name's status stands, unless there is no first name
    assert mapping.status.tolist() == [
        "id",
        "symbol",
        "unknown_id",
        "ambiguous",
        "alias_symbol",
        "unknown_id",
    ]
    assert mapping.names == tuple(first)


def test_fallback_of_another_length_is_refused(small_table):
    with pytest.raises(UserError, match="gene-names-length"):
        map_genes(["A", "B"], small_table, ["A"])


def test_no_names(small_table):
    mapping = map_genes([], small_table)
    assert set(mapping.counts().values()) == {0}
    assert len(mapping.rows) == len(mapping.ensembl_ids) == len(mapping.status) == 0


@given(real_ids, st.integers(0, 99), st.sampled_from(["", "_PAR_Y", "_3"]))
def test_version_suffix_changes_nothing(ident, version, end):
    plain, suffixed = (map_genes([n], TABLE) for n in (ident, f"{ident}.{version}{end}"))
    assert suffixed.status[0] == plain.status[0] != "unknown_id"
    assert suffixed.rows[0] == plain.rows[0]


@promised
@given(st.data(), st.lists(st.tuples(real_names, real_names), max_size=12))
def test_permuting_names_permutes_results(data, pairs):
    order = data.draw(st.permutations(range(len(pairs))))
    names, fallback = [a for a, _ in pairs], [b for _, b in pairs]
    straight = map_genes(names, TABLE, fallback)
    mixed = map_genes([names[i] for i in order], TABLE, [fallback[i] for i in order])
    for array in ("rows", "status", "ensembl_ids"):
        assert getattr(mixed, array).tolist() == [getattr(straight, array)[i] for i in order]
    assert mixed.counts() == straight.counts()


@given(st.lists(real_names, max_size=12))
def test_results_agree_with_the_table_and_add_up(names):
    mapping = map_genes(names, TABLE)
    counts = mapping.counts()
    assert counts["total"] == len(names)
    assert counts["matched"] + counts["ambiguous"] + counts["retired"] + counts["unknown"] == len(
        names
    )
    by_hand = Counter(ident for ident in mapping.ensembl_ids if ident)
    assert counts["duplicate"] == sum(by_hand.values()) - len(by_hand)
    assert [TABLE.row_of_id.get(i, -1) for i in mapping.ensembl_ids] == mapping.rows.tolist()


def test_the_whole_table_maps_to_itself():
    assert map_genes(TABLE.ids, TABLE).rows.tolist() == list(range(62_754))
    by_symbol = map_genes(TABLE.symbols, TABLE)
    mapped = by_symbol.rows >= 0
    assert (by_symbol.rows[mapped] == mapped.nonzero()[0]).all()
    assert set(by_symbol.status[~mapped]) == {"ambiguous"}


def test_symbols_of_pbmc68k():
    counts = map_genes(list(sc.datasets.pbmc68k_reduced().var_names), TABLE).counts()
    assert counts["total"] == 765
    assert counts["matched"] >= 690
    assert counts["duplicate"] == 0


def test_ids_and_symbols_of_kang_agree(shared):
    cells = ad.read_h5ad(shared / "kang_ifnb_pbmc.h5ad", backed="r")
    symbols = list(cells.var_names)
    ids = cells.var["ensembl_id"].astype(str).tolist()
    by_symbol, by_id = map_genes(symbols, TABLE), map_genes(ids, TABLE)
    assert (by_symbol.rows >= 0).mean() > 0.89 and (by_id.rows >= 0).mean() > 0.83
    both = (by_symbol.rows >= 0) & (by_id.rows >= 0)
    assert (by_symbol.rows[both] == by_id.rows[both]).all()
    joined = map_genes(ids, TABLE, symbols).counts()
    assert joined["matched"] == ((by_symbol.rows >= 0) | (by_id.rows >= 0)).sum()
