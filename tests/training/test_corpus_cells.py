"""Held-out cells, the model's own genes, and even samples."""

import numpy as np
import pytest
from pydantic import ValidationError
from tests.training.corpora import write_store

from sc_mamba2.tokens import Tokenizer, TokenStore
from sc_mamba2.training.corpus_cells import (
    CorpusCells,
    KnownGenes,
    even_sample,
    expressed_vocabulary,
    make_sampler,
    split_cells,
)
from sc_mamba2.training.options import HeldOut, SamplingOptions


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return TokenStore.open(write_store(tmp_path_factory.mktemp("corpus") / "store"))


def test_held_out_studies_are_apart_and_all_else_is_trained_on(store):
    training, judging = split_cells(store, HeldOut(values=("b", "d")))
    studies = store.obs()["study"].to_numpy()
    assert set(studies[training]) == {"a", "c"}
    assert set(studies[judging]) == {"b", "d"}
    assert len(training) + len(judging) == len(store)


def test_only_the_column_that_tells_the_cells_apart_is_read(store, monkeypatch):
    read, obs = [], TokenStore.obs
    monkeypatch.setattr(
        TokenStore, "obs", lambda self, columns=None: read.append(columns) or obs(self, columns)
    )
    split_cells(store, HeldOut(values=("b",)))
    assert read == [["study"]]


def test_genes_that_the_model_does_not_know_are_left_out(store):
    few = expressed_vocabulary(store, np.array([0, 1]))
    known = KnownGenes(store, few)
    cells = np.arange(len(store))
    own, all_genes = known.gather(cells), store.gather(cells)
    names, everything = np.array(few.ids), np.array(store.tokenizer.vocabulary.ids)
    for cell in cells:
        one = slice(own.offsets[cell], own.offsets[cell + 1])
        other = slice(all_genes.offsets[cell], all_genes.offsets[cell + 1])
        ids = everything[all_genes.gene_rows[other]]
        kept = np.isin(ids, names)
        assert (names[own.gene_rows[one]] == ids[kept]).all()
        assert (own.bins[one] == all_genes.bins[other][kept]).all()


def test_batches_are_a_function_of_the_step(store):
    tokenizer = Tokenizer(expressed_vocabulary(store, np.arange(len(store))), store.tokenizer.rules)
    sources = [
        CorpusCells(store, np.arange(50), tokenizer, SamplingOptions(), 12, 3) for _ in range(2)
    ]
    orders = [
        [source.cells(step) for step in steps]
        for source, steps in zip(sources, (range(9), range(8, -1, -1)), strict=True)
    ]
    for (cells, epoch), (others, other_epoch) in zip(orders[0], orders[1][::-1], strict=True):
        assert (cells == others).all() and epoch == other_epoch
    assert sorted(np.concatenate([cells for cells, epoch in orders[0] if epoch == 0])) == list(
        range(50)
    )


@pytest.mark.parametrize(("count", "most"), [(10, 3), (1000, 512), (5, 5), (5, 9), (0, 4)])
def test_an_even_sample_reaches_from_end_to_end(count, most):
    found = even_sample(np.arange(count), most)
    assert len(found) == min(count, most) == len(set(found))
    if most < count:
        assert found[0] == 0 and found[-1] >= count - count / most - 1


@pytest.mark.parametrize(
    ("options", "shares"),
    [
        ({"power": 0.0}, (1, 1)),
        ({"power": 0.5}, (2, 1)),
        ({"shares": {"a": 3, "b": 1}}, (3, 1)),
        ({"shares": {"a": 3, "b": 1}, "power": 0.5}, (3, 1)),  # shares come first
    ],
)
def test_a_value_is_drawn_by_a_power_of_its_cells_or_by_its_share(store, options, shares):
    studies = store.obs()["study"].to_numpy()
    cells = np.sort(np.r_[np.flatnonzero(studies == "a"), np.flatnonzero(studies == "b")[:6]])
    assert (studies[cells] == "a").sum() == 24  # four times as many
    sampler = make_sampler(store, cells, SamplingOptions(column="study", **options), 6, 0)
    drawn = np.concatenate([cells[batch] for e in range(300) for batch in sampler.batches(e)])
    assert len(drawn) == 300 * len(cells)
    assert (studies[drawn] == "a").mean() == pytest.approx(shares[0] / sum(shares), abs=0.01)


@pytest.mark.parametrize("options", [{"column": "study"}, {"power": 0.5}, {"shares": {"a": 1}}])
def test_a_column_goes_together_with_shares_or_a_power(options):
    with pytest.raises(ValidationError, match="column goes together with shares or power"):
        SamplingOptions(**options)
