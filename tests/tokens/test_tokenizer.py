"""Cells become tokens one by one: by vocabulary, not by the order of genes or of cells."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError
from scipy import sparse
from tests.properties import promised
from tests.tokens.twins import bin_cell

from sc_mamba2.errors import UserError
from sc_mamba2.genes import Vocabulary, load_vocabulary
from sc_mamba2.tokens import Tokenizer, TokenizerRules

IDS = tuple(f"ENSG{(number * 7) % 20:011d}" for number in range(20))
NAMES = ("<pad>", "<cls>", *IDS)
TOKENIZER = Tokenizer(Vocabulary("twenty", NAMES, NAMES), TokenizerRules(n_bins=11, max_length=8))


def assert_same(left, right) -> None:
    for name in ("gene_rows", "bins", "values", "offsets"):
        assert np.array_equal(getattr(left, name), getattr(right, name)), name
    pd.testing.assert_frame_equal(left.obs, right.obs)


def some_cells(cells: int = 6, seed: int = 0):
    generator = np.random.default_rng(seed)
    values = np.round(generator.gamma(2, 1, (cells, 20)), 1) * (generator.random((cells, 20)) < 0.6)
    obs = pd.DataFrame({"label": generator.integers(3, size=cells)}, index=map(str, range(cells)))
    return sparse.csr_matrix(values.astype(np.float32)), np.array(IDS), obs


def test_tokens_stand_in_vocabulary_order_with_their_own_bins(tokens, expression, vocabulary):
    matrix, gene_ids, obs = expression
    assert len(tokens) == 12 and tokens.obs.equals(obs)
    assert tokens.gene_rows.dtype == np.int32 and tokens.bins.dtype == np.int16
    assert tokens.values.dtype == np.float32 and tokens.offsets.dtype == np.int64
    for cell in range(12):
        mine = slice(*tokens.offsets[cell : cell + 2])
        rows = tokens.gene_rows[mine]
        assert (np.diff(rows) > 0).all()
        values = dict(zip(gene_ids, matrix[cell].toarray().ravel(), strict=True))
        expected = {ident: value for ident, value in values.items() if value}
        assert {vocabulary.ids[row] for row in rows} == set(expected)
        assert tokens.values[mine].tolist() == [expected[vocabulary.ids[row]] for row in rows]
        assert tokens.bins[mine].tolist() == bin_cell(tokens.values[mine], 11).tolist()


def test_an_empty_cell_has_no_tokens(tokens):
    assert tokens.lengths[3] == 0 and (np.delete(tokens.lengths, 3) > 0).all()


@promised
@given(st.permutations(range(20)), st.sampled_from([sparse.csr_matrix, sparse.csc_matrix]))
def test_the_order_of_genes_changes_nothing(order, form):
    matrix, ids, obs = some_cells()
    assert_same(
        TOKENIZER.tokenize(form(matrix[:, order]), ids[order], obs),
        TOKENIZER.tokenize(matrix, ids, obs),
    )


@promised
@given(st.permutations(range(6)))
def test_no_cell_depends_on_its_neighbours(order):
    matrix, ids, obs = some_cells()
    together = TOKENIZER.tokenize(matrix, ids, obs)
    assert_same(
        TOKENIZER.tokenize(matrix[order], ids, obs.iloc[order]), together.take(np.array(order))
    )
    for cell in order[:2]:
        alone = TOKENIZER.tokenize(matrix[[cell]], ids, obs.iloc[[cell]])
        assert_same(alone, together.take(np.array([cell])))


@promised
@given(st.integers(0, 20), st.floats(0, 100, width=32))
def test_unknown_genes_change_nothing(at, value):
    matrix, ids, obs = some_cells()
    wider = sparse.csr_matrix(np.insert(matrix.toarray(), at, value, axis=1))
    for name in ("ENSG99999999999", "<cls>", "<pad>", ""):
        assert_same(
            TOKENIZER.tokenize(wider, np.insert(ids.astype(object), at, name), obs),
            TOKENIZER.tokenize(matrix, ids, obs),
        )


@given(st.integers(0, 30))
def test_the_limit_keeps_the_highest_of_equal_ones_the_earlier(seed):
    matrix, ids, obs = some_cells(seed=seed)
    cut = TOKENIZER.tokenize(matrix, ids, obs)
    whole = Tokenizer(TOKENIZER.vocabulary, TokenizerRules(n_bins=11)).tokenize(matrix, ids, obs)
    assert cut.lengths.max() == 7
    for cell in range(6):
        mine, all_ = slice(*cut.offsets[cell : cell + 2]), slice(*whole.offsets[cell : cell + 2])
        ranked = sorted(
            zip(-whole.values[all_], whole.gene_rows[all_], whole.bins[all_], strict=True)
        )
        expected = sorted((row, -value, bin_) for value, row, bin_ in ranked[:7])
        got = zip(cut.gene_rows[mine], cut.values[mine], cut.bins[mine], strict=True)
        assert list(got) == expected


def test_explicit_zeros_are_no_tokens_and_the_input_is_kept():
    matrix, ids, obs = some_cells()
    with_zeros = matrix.copy()
    with_zeros.data[::3] = 0
    before = with_zeros.copy()
    plain = sparse.csr_matrix(with_zeros.toarray())
    assert_same(TOKENIZER.tokenize(with_zeros, ids, obs), TOKENIZER.tokenize(plain, ids, obs))
    assert np.array_equal(with_zeros.data, before.data)


def test_no_cells_give_no_tokens():
    matrix, ids, obs = some_cells()
    nothing = TOKENIZER.tokenize(matrix[:0], ids, obs.iloc[:0])
    assert len(nothing) == 0 and nothing.offsets.tolist() == [0]
    assert nothing.gene_rows.dtype == np.int32 and nothing.bins.dtype == np.int16


@pytest.mark.parametrize("ids", [["ENSG9", "x"], ["<cls>", "<pad>"]])
def test_no_known_gene(ids):
    with pytest.raises(UserError) as caught:
        TOKENIZER.tokenize(
            sparse.csr_matrix(np.ones((1, 2))), np.array(ids), pd.DataFrame(index=["a"])
        )
    assert caught.value.rule == "genes-not-in-vocabulary" and "twenty" in caught.value.found


def test_json_brings_the_same_tokenizer_back():
    again = Tokenizer.from_json(TOKENIZER.to_json())
    assert again.rules == TOKENIZER.rules and again.vocabulary == TOKENIZER.vocabulary


@pytest.mark.parametrize(
    "wrong", [{"n_bins": 2}, {"n_bins": 32768}, {"max_length": 1}, {"bins": 9}]
)
def test_rules_refuse_what_is_out_of_range(wrong):
    with pytest.raises(ValidationError):
        TokenizerRules(**wrong)


def test_expression_order_is_the_same_cells_by_falling_value():
    matrix = sparse.random(6, 30, 0.5, format="csr", dtype=np.float32, random_state=0)
    matrix.data = np.ceil(matrix.data * 4)  # with ties
    vocabulary = load_vocabulary("gencode-v44")
    ids = np.array([vocabulary.ids[row] for row in vocabulary.gene_rows[:30]])
    obs = pd.DataFrame(index=list("abcdef"))
    found = {
        order: Tokenizer(vocabulary, TokenizerRules(max_length=12, order=order)).tokenize(
            matrix, ids, obs
        )
        for order in ("vocabulary", "expression")
    }
    for cell in range(6):
        one, other = (tokens.take(np.array([cell])) for tokens in found.values())
        by_value = np.lexsort((one.gene_rows, -one.values))
        for name in ("gene_rows", "bins", "values"):
            assert (getattr(one, name)[by_value] == getattr(other, name)).all()


def test_rules_of_older_checkpoints_mean_vocabulary_order():
    assert TokenizerRules(n_bins=51, max_length=10).order == "vocabulary"
