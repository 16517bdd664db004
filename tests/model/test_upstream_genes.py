"""The released vocabulary: rows never move, nothing is lost, and every name is counted."""

import pytest
from hypothesis import given, strategies as st

from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table
from sc_mamba2.model.upstream import released_vocabulary

TABLE = load_gene_table()
SPECIALS = ["<pad>", "<cls>", "<eoc>"]
OLDER = next(
    (alias, TABLE.symbols[row])
    for alias, row in TABLE.row_of_alias_symbol.items()
    if TABLE.symbols[row] in TABLE.row_of_symbol
)
AMBIGUOUS = min(TABLE.ambiguous_symbols)
real_names = st.one_of(
    st.sampled_from([*TABLE.symbols[::97], *list(TABLE.row_of_alias_symbol)[::97]]),
    st.sampled_from([*TABLE.ids[::97], *TABLE.row_of_alias_id, *TABLE.retired]),
    st.sampled_from(sorted(TABLE.ambiguous_symbols)),
    st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=8),
)


def vocabulary_of(names, rows=None):
    return released_vocabulary(
        {name: row for row, name in enumerate(names)}, rows or len(names), TABLE
    )


def test_each_kind_of_name():
    names = ["CD3E", "<pad>", "no-such", AMBIGUOUS, "<cls>", OLDER[0], "<eoc>", TABLE.ids[5]]
    found, report = vocabulary_of(names, rows=9)
    assert found.symbols == (*names, "<unnamed-8>")
    assert found.ids[0] == "ENSG00000198851"
    assert found.ids[1:5] == ("<pad>", "no-such", AMBIGUOUS, "<cls>")
    assert found.ids[5] == TABLE.ids[TABLE.row_of_alias_symbol[OLDER[0]]]
    assert found.ids[6:] == ("<eoc>", TABLE.ids[5], "<unnamed-8>")
    assert (found.pad_id, found.cls_id) == (1, 4)
    assert found.gene_rows.tolist() == [0, 2, 3, 5, 7]
    counts = {name: count for name, count in report.items() if name != "examples"}
    assert counts == {
        "genes": 5,
        "matched": 3,
        "matched_by_alias": 1,
        "duplicate": 0,
        "ambiguous": 1,
        "retired": 0,
        "unknown": 1,
        "unnamed_rows": 1,
    }
    assert report["examples"]["unknown"] == ["no-such"]


def test_the_second_name_of_a_gene_keeps_its_name():
    older, today = OLDER
    for first, second in ((older, today), (today, older)):
        found, report = vocabulary_of(["<pad>", "<cls>", first, second])
        assert found.ids[2] == TABLE.ids[TABLE.row_of_symbol[today]] and found.ids[3] == second
        assert (report["matched"], report["duplicate"]) == (1, 1)
        assert report["examples"]["duplicate"] == [second]


def test_a_name_that_is_the_id_has_it_wherever_it_stands():
    found, report = vocabulary_of(["<pad>", "<cls>", "CD3E", "ENSG00000198851"])
    assert found.ids[2:] == ("CD3E", "ENSG00000198851")
    assert (report["matched"], report["duplicate"]) == (1, 1)


@given(st.lists(real_names, unique=True, max_size=30), st.randoms(), st.integers(0, 3))
def test_rows_never_move_and_all_names_are_counted(names, chance, more):
    names = SPECIALS + [name for name in names if not name.startswith("<")]
    chance.shuffle(names)
    found, report = vocabulary_of(names, rows=len(names) + more)
    assert found.symbols[: len(names)] == tuple(names)
    for ident, name in zip(found.ids, found.symbols, strict=True):
        assert ident == name or (ident in TABLE.row_of_id and not name.startswith("<"))
    known = report["genes"] - len(names) + len(SPECIALS)
    assert known == 0 and report["unnamed_rows"] == more
    parts = ("matched", "duplicate", "ambiguous", "retired", "unknown")
    assert sum(report[part] for part in parts) == report["genes"]
    assert report["matched"] == sum(ident in TABLE.row_of_id for ident in found.ids)


@pytest.mark.parametrize(
    "names",
    [
        {"<cls>": 0, "A": 1},
        {"<pad>": 0, "A": 1},
        {"<pad>": 0, "<cls>": 1, "A": 4},
        {"<pad>": 0, "<cls>": 1, "A": -1},
        {"<pad>": 0, "<cls>": 1, "A": True},
        {"<pad>": 0, "<cls>": 1, "A": "2"},
        {"<pad>": 0, "<cls>": 1, "A": 2.0},
        {"<pad>": 0, "<cls>": 1, "A": 1},
        {"<pad>": 0, "<cls>": 1, "": 2},
        {"<pad>": 0, "<cls>": 1, "A\n": 2},
        {"<pad>": 0, "<cls>": 1, "<unnamed-2>": 3},
    ],
)
def test_a_broken_vocabulary_is_refused(names):
    with pytest.raises(UserError) as caught:
        released_vocabulary(names, 4, TABLE)
    assert caught.value.rule == "upstream-vocabulary"
