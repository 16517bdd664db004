"""The vocabulary: rows, subsets, its JSON, and what it refuses."""

import json

import numpy as np
import pytest
from hypothesis import given, strategies as st

from sc_mamba2.errors import UserError
from sc_mamba2.genes import Vocabulary, load_gene_table, load_vocabulary

GENCODE = load_vocabulary()
# as an imported one: specials anywhere, a third special, a row with a symbol for an id
IMPORTED = Vocabulary(
    "imported",
    ("ENSG00000000001", "<eoc>", "FOO", "<cls>", "ENSG00000000003", "<pad>"),
    ("A", "<eoc>", "FOO", "<cls>", "C", "<pad>"),
)


@st.composite
def vocabularies(draw):
    genes = draw(st.sets(st.text(min_size=1, max_size=4), max_size=12)) - {"<pad>", "<cls>"}
    ids = draw(st.permutations(["<pad>", "<cls>", *sorted(genes)]))
    symbols = draw(st.lists(st.text(max_size=3), min_size=len(ids), max_size=len(ids)))
    return Vocabulary(draw(st.text(max_size=5)), tuple(ids), tuple(symbols))


def rows_by_loops(vocabulary, ids):
    rows = []
    for wanted in ids:
        row = -1
        for place, ident in enumerate(vocabulary.ids):
            if ident == wanted:
                row = place
        rows.append(row)
    return rows


def test_gencode():
    assert (GENCODE.name, GENCODE.size) == ("gencode-v44", 62_756)
    assert GENCODE.ids[:2] == GENCODE.symbols[:2] == ("<pad>", "<cls>")
    assert (GENCODE.pad_id, GENCODE.cls_id) == (0, 1)
    assert GENCODE.gene_rows.tolist() == list(range(2, 62_756))
    assert GENCODE.ids[2:] == tuple(load_gene_table().ids)
    assert GENCODE.symbols[GENCODE.rows_of(["ENSG00000198851"])[0]] == "CD3E"
    assert load_vocabulary("gencode-v44") is GENCODE


def test_gencode_is_the_one_that_checkpoints_were_made_with():
    # A change here orphans every checkpoint: rows would stand for other genes.
    assert GENCODE.sha256 == "603bb7d7236c515927e2cb4bba50860edb0f4a1e6839fc0579f7ebd1aada91bd"


def test_specials_may_stand_anywhere():
    assert (IMPORTED.pad_id, IMPORTED.cls_id, IMPORTED.size) == (5, 3, 6)
    assert IMPORTED.gene_rows.tolist() == [0, 2, 4] and IMPORTED.gene_rows.dtype == np.int64
    with pytest.raises(ValueError, match="read-only"):
        IMPORTED.gene_rows[0] = 1


@given(vocabularies(), st.data())
def test_rows_of_equals_plain_loops(vocabulary, data):
    pool = st.one_of(st.sampled_from(vocabulary.ids), st.text(max_size=4))
    ids = data.draw(st.lists(pool, max_size=20))
    rows = vocabulary.rows_of(ids)
    assert rows.tolist() == rows_by_loops(vocabulary, ids) and rows.dtype == np.int64
    assert vocabulary.rows_of(np.array(ids, dtype=object)).tolist() == rows.tolist()


def test_rows_of_the_whole_table():
    ids = load_gene_table().ids[::-1]
    assert (GENCODE.rows_of(ids) == np.arange(62_755, 1, -1)).all()
    assert GENCODE.rows_of(["", "CD3E", "ENSG00000198851.9", "nan"]).tolist() == [-1] * 4
    assert GENCODE.rows_of([]).dtype == np.int64


def test_subset_puts_specials_first():
    part = IMPORTED.subset(["ENSG00000000003", "ENSG00000000001"], name="part")
    assert part.ids == ("<eoc>", "<cls>", "<pad>", "ENSG00000000001", "ENSG00000000003")
    assert part.symbols == ("<eoc>", "<cls>", "<pad>", "A", "C")
    assert part.name == "part"
    assert IMPORTED.subset([]).name == "imported-subset-0"


@given(vocabularies(), st.data())
def test_subset_keeps_the_order(vocabulary, data):
    wanted = data.draw(st.lists(st.sampled_from(vocabulary.ids), max_size=20))
    part = vocabulary.subset(wanted)
    rows = vocabulary.rows_of([part.ids[row] for row in part.gene_rows])
    assert (np.diff(rows) > 0).all()
    assert set(part.ids) - set(wanted) <= {i for i in vocabulary.ids if i[0] + i[-1] == "<>"}
    assert set(wanted) <= set(part.ids)
    assert part.gene_rows.tolist() == list(range(part.size - len(rows), part.size))
    assert [part.symbols[row] for row in part.rows_of(wanted)] == [
        vocabulary.symbols[row] for row in vocabulary.rows_of(wanted)
    ]
    assert part.subset(wanted[::-1], part.name) == part


def test_subset_refuses_unknown_ids():
    with pytest.raises(UserError, match=r"2 ids that 'imported' lacks: CD3E, ENSG9") as caught:
        IMPORTED.subset(["FOO", "ENSG9", "CD3E"])
    assert caught.value.rule == "gene-not-in-vocabulary"


@given(vocabularies())
def test_json_roundtrip(vocabulary):
    text = vocabulary.to_json()
    again = Vocabulary.from_json(text)
    assert again == vocabulary and hash(again) == hash(vocabulary)
    assert again.to_json() == text and again.sha256 == vocabulary.sha256
    # any other layout of the same JSON is the same vocabulary
    assert Vocabulary.from_json(json.dumps(json.loads(text), indent=1)) == vocabulary


def test_gencode_roundtrip():
    assert Vocabulary.from_json(GENCODE.to_json()) == GENCODE


@given(vocabularies(), vocabularies())
def test_sha256_is_equal_exactly_for_equals(one, other):
    assert (one.sha256 == other.sha256) == (one == other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": ["<pad>", "<cls>", "A", "A"]}, "more than once: A"),
        ({"symbols": ["a", "b", "c"]}, "4 ids and 3 symbols"),
        ({"ids": ["<pad>", "B", "A", "C"]}, "no <cls>"),
        ({"ids": ["D", "B", "A", "C"]}, "no <pad> and no <cls>"),
        ({"ids": ["<pad>", "<cls>", "A", ""]}, "an empty id at row 3"),
        ({"ids": ["<pad>", "<cls>", "A", 3]}, "ids that are not a list of strings"),
        ({"symbols": "abcd"}, "symbols that are not a list of strings"),
        ({"name": None}, "name None"),
        ({"more": 1}, "keys name, ids, symbols, …"),
    ],
)
def test_broken_json_is_refused(change, message):
    good = {"name": "x", "ids": ["<pad>", "<cls>", "A", "B"], "symbols": ["", "", "A", "B"]}
    assert Vocabulary.from_json(json.dumps(good)).size == 4
    with pytest.raises(UserError, match=message) as caught:
        Vocabulary.from_json(json.dumps(good | change))
    assert caught.value.rule == "vocabulary-broken"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "{}", '{"<pad>": 0, "<cls>": 1}', "[" * 99_999]
)
def test_what_is_no_vocabulary_is_refused(text):
    with pytest.raises(UserError, match="vocabulary-broken"):
        Vocabulary.from_json(text)
