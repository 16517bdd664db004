"""Where thinned batches come from: studies, genes that each measured, types and what is known of them."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from tests.training.corpora import write_store

from sc_mamba2.genes import load_vocabulary
from sc_mamba2.tokens import (
    ThinningOptions,
    Tokenizer,
    TokenizerRules,
    TokenStore,
    TokenStoreWriter,
    thin_batch,
)
from sc_mamba2.training.corpus_cells import KnownGenes
from sc_mamba2.training.options import SamplingOptions
from sc_mamba2.training.thinned_cells import (
    SOURCE,
    TYPES,
    ThinnedCells,
    genes_by_study,
    number_studies,
    type_targets,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return TokenStore.open(write_store(tmp_path_factory.mktemp("corpus") / "store", "molecules"))


def store_of(folder, columns):
    """A store whose cells have these columns, and a gene each."""
    vocabulary = load_vocabulary("gencode-v44")
    tokenizer = Tokenizer(vocabulary, TokenizerRules(bins="counts"))
    obs = pd.DataFrame(columns).rename(index=lambda number: f"cell{number}")
    matrix = sparse.csr_matrix(np.ones((len(obs), 1), dtype=np.float32))
    with TokenStoreWriter(folder, tokenizer) as writer:
        ids = np.array([vocabulary.ids[vocabulary.gene_rows[0]]])
        writer.add(tokenizer.tokenize(matrix, ids, obs))
    return TokenStore.open(folder)


def test_studies_that_are_trained_on_come_first(store):
    columns = store.obs()["study"].to_numpy()
    training = np.flatnonzero(np.isin(columns, ["d", "b"]))
    numbers_N, names = number_studies(store, "study", training)
    assert names == ["b", "d", "a", "c"]
    assert [names[number] for number in numbers_N] == columns.tolist()


@pytest.mark.parametrize("column", ["study", "nowhere"])
def test_a_cell_without_a_study_is_of_its_file(tmp_path, column):
    columns = {"study": ["s", "", "s", ""], SOURCE: ["a", "a", "b", "b"]}
    store = store_of(tmp_path / "store", columns)
    numbers_N, names = number_studies(store, column, np.array([0, 1, 2]))
    told = [names[number] for number in numbers_N]
    assert told == (["s", "a", "s", "b"] if column == "study" else columns[SOURCE])


def test_genes_are_counted_by_study_whatever_the_blocks(store):
    numbers_N, names = number_studies(store, "study", np.arange(len(store)))
    slow_SV = np.zeros((len(names), store.tokenizer.vocabulary.size), dtype=int)
    for cell in range(len(store)):
        for row in store.gather(np.array([cell])).gene_rows:
            slow_SV[numbers_N[cell], row] += 1
    for together in (7, 4096):
        found_SV = genes_by_study(store, numbers_N, len(names), together)
        assert np.array_equal(found_SV, slow_SV)
    assert not slow_SV[:, slow_SV.any(axis=0)].all()  # some gene is lacking somewhere


def slow_targets(lines, training, least):
    """Terms that count, and by type and term what is so and whether that is known; a cell after the other."""
    typed = [lines[cell].split() for cell in training if lines[cell]]
    terms = []
    for term in sorted({term for line in typed for term in line}):
        ones = sum(term in line for line in typed)
        if ones >= least and len(typed) - ones >= least:
            terms.append(term)
    is_so, known = {}, {}
    for own, *above in typed:
        for term in terms:
            may_lie_below = all(own in line for line in typed if term in line)
            is_so[own, term] = term == own or term in above
            known[own, term] = is_so[own, term] or not may_lie_below
    return terms, is_so, known


@pytest.mark.parametrize("seed", range(6))
def test_types_are_those_of_the_slow_twin(tmp_path, seed):
    draw = np.random.default_rng(seed)
    parents = [[]] + [
        sorted(set(draw.integers(0, term, draw.integers(1, 3)).tolist())) for term in range(1, 12)
    ]
    above = []
    for mine in parents:  # with its parents, all that lies above them
        above.append(sorted({*mine, *(one for parent in mine for one in above[parent])}))
    whole = [" ".join(f"CL:{one}" for one in (term, *above[term])) for term in range(12)]
    lines = [("" if kind == 12 else whole[kind]) for kind in draw.integers(0, 13, 90)]
    training = np.flatnonzero(draw.random(90) < 0.5)
    least = int(draw.integers(1, 8))
    found = type_targets(store_of(tmp_path / "store", {TYPES: lines}), training, least)
    terms, is_so, known = slow_targets(lines, training, least)
    assert found.terms == terms and terms
    seen = {lines[cell] for cell in training}
    for line, number in zip(lines, found.numbers_N, strict=True):
        assert (number >= 0) == (line in seen and line != "")
        for at, term in enumerate(terms if number >= 0 else []):
            pair = (line.split()[0], term)
            assert (found.is_CT[number, at], found.known_CT[number, at]) == (
                is_so[pair],
                known[pair],
            )


def test_what_may_lie_below_a_cells_own_type_is_not_known(tmp_path):
    t, cd4, b = "CL:T CL:cell", "CL:CD4 CL:T CL:cell", "CL:B CL:cell"
    lines = [t] * 3 + [cd4] * 3 + [b] * 3 + [""] * 3 + ["CL:rare CL:cell"]
    training = np.arange(len(lines))
    found = type_targets(store_of(tmp_path / "store", {TYPES: lines}), training, 3)
    assert found.terms == ["CL:B", "CL:CD4", "CL:T"]  # all are cells, and one is rare
    told = {
        line.split()[0]: list(zip(found.is_CT[number], found.known_CT[number], strict=True))
        for line, number in zip(lines, found.numbers_N, strict=True)
        if line
    }
    no, yes, unknown = (False, True), (True, True), (False, False)
    assert told["CL:T"] == [no, unknown, yes]  # may well be a CD4 T cell
    assert told["CL:CD4"] == [no, yes, yes]
    assert told["CL:B"] == [yes, no, no]
    assert told["CL:rare"] == [no, no, no]
    assert (found.numbers_N[9:12] == -1).all()


@pytest.mark.parametrize("lines", [None, ["", ""]])
def test_a_corpus_without_types_has_no_terms(store, tmp_path, lines):
    untyped = store_of(tmp_path / "store", {TYPES: lines or ["", ""]})
    if lines is None:  # the column itself is absent
        untyped.manifest.obs_columns.remove(TYPES)
    found = type_targets(untyped, np.arange(2), 1)
    assert found.terms == [] and found.numbers_N.tolist() == [-1, -1]
    assert found.is_CT.shape == found.known_CT.shape == (0, 0)


def test_batches_are_a_function_of_the_step(store):
    vocabulary = store.tokenizer.vocabulary
    genes = np.unique(store.gather(np.arange(20)).gene_rows)[::2]  # a part: the model knows fewer
    tokenizer = Tokenizer(
        vocabulary.subset([vocabulary.ids[row] for row in genes]), store.tokenizer.rules
    )
    numbers_N, types_N = np.arange(len(store)) % 3, np.arange(len(store)) % 5 - 1
    cells, thinning = np.arange(10, 60), ThinningOptions(read_tokens=5)
    told = (store, cells, tokenizer, numbers_N, types_N, SamplingOptions(), thinning, 12, 3)
    one, other = ThinnedCells(*told), ThinnedCells(*told)
    batches = {}
    for step in range(10):
        batches[step] = one.load(*one.cells(step))
    for step in reversed(range(10)):
        again = other.load(*other.cells(step))
        for name in again.__dataclass_fields__:
            assert torch.equal(getattr(again, name), getattr(batches[step], name)), name
    of_epoch = [one.cells(step) for step in range(10)]
    first = np.concatenate([cells for cells, epoch in of_epoch if epoch == 0])
    assert sorted(first) == cells.tolist() and of_epoch[-1][1] > 0
    known = KnownGenes(store, tokenizer.vocabulary)
    twin = thin_batch(known, first[:4], tokenizer.vocabulary, thinning, 3, 0, numbers_N, types_N)
    mine = one.load(first[:4], 0)
    assert torch.equal(mine.counts_BL, twin.counts_BL)
    assert mine.studies_B.tolist() == numbers_N[first[:4]].tolist()
    assert mine.types_B.tolist() == types_N[first[:4]].tolist()
    next_epoch = one.load(first[:4], 1)
    assert next_epoch.left_BO.sum() != mine.left_BO.sum()
