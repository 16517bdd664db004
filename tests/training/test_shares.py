"""Before the first step each process reads its share of the gene rows, and all know the same of all."""

import numpy as np
import pytest
import torch
from tests.training.corpora import write_store

from sc_mamba2.tokens import TokenStore
from sc_mamba2.training.corpus_cells import expressed_vocabulary
from sc_mamba2.training.ranks import Ranks
from sc_mamba2.training.thinned_cells import genes_by_study


class Counting(TokenStore):
    """A store that notes which cells were read."""

    def gather(self, cells):
        self.__dict__.setdefault("read", []).extend(np.asarray(cells).tolist())
        return super().gather(cells)


class Share(Ranks):
    """One of several processes that are asked one after the other: the sum is taken by the test."""

    def total(self, value):
        raise Stop(value.numpy())


class Stop(Exception):
    """Carries what a process counted."""


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("what", ["vocabulary", "studies"])
def test_shares_are_apart_and_their_sum_is_the_whole(tmp_path, monkeypatch, what, size):
    write_store(tmp_path / "store")
    studies_N = np.arange(len(TokenStore.open(tmp_path / "store"))) % 3

    def ask(store, ranks):
        if what == "studies":
            return genes_by_study(store, studies_N, 3, 5, ranks)
        return expressed_vocabulary(store, np.arange(len(store)), 2, ranks)

    read, counted = [], []
    for rank in range(size):
        store = TokenStore.open(tmp_path / "store")
        store.__class__ = Counting
        with pytest.raises(Stop) as caught:
            ask(store, Share(rank, size, torch.device("cpu")))
        counted.append(caught.value.args[0])
        read.append(store.read)
    assert sorted(cell for share in read for cell in share) == list(range(len(studies_N)))
    assert max(map(len, read)) - min(map(len, read)) <= 1
    monkeypatch.setattr(Share, "total", lambda self, value: torch.from_numpy(sum(counted)))
    found = ask(TokenStore.open(tmp_path / "store"), Share(0, size, torch.device("cpu")))
    whole = ask(TokenStore.open(tmp_path / "store"), Ranks(0, 1, torch.device("cpu")))
    assert np.array_equal(found, whole) if what == "studies" else found.ids == whole.ids
