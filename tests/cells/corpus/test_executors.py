"""Results come in order; a dead worker, and a cluster that is not there, are one clear error."""

import os
import sys

import pytest
from tests.cells.corpus.consumers import names_of

from sc_mamba2.cells.corpus import ReadingRules, ingest_corpus, list_sources
from sc_mamba2.cells.corpus.executors import in_order, open_executor
from sc_mamba2.errors import UserError


def die(_: int) -> None:
    os._exit(9)


def test_one_worker_stays_in_this_process():
    with open_executor(1) as pool:
        assert list(in_order(pool, lambda number: (number, os.getpid()), [2, 1])) == [
            (2, os.getpid()),
            (1, os.getpid()),
        ]


def test_a_worker_that_is_killed():
    with pytest.raises(UserError) as caught, open_executor(2) as pool:
        list(in_order(pool, die, [1]))
    assert caught.value.rule == "worker-died"


def test_dask_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError) as caught, open_executor(1, "tcp://127.0.0.1:1"):
        pass
    assert caught.value.rule == "dask-missing" and "sc-mamba2[distributed]" in caught.value.mend


def test_a_scheduler_that_does_not_answer(monkeypatch):
    pytest.importorskip("distributed", reason="needs the extra distributed")
    monkeypatch.setattr("sc_mamba2.cells.corpus.executors.CONNECT_SECONDS", 1)
    with pytest.raises(UserError) as caught, open_executor(1, "tcp://127.0.0.1:1"):
        pass
    assert caught.value.rule == "dask-unreachable"


def test_a_cluster_gives_what_one_process_gives(corpus):
    distributed = pytest.importorskip("distributed", reason="needs the extra distributed")
    rules, sources = ReadingRules(cells_a_block=7), list_sources(corpus)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    ) as cluster:
        found = ingest_corpus(sources, rules, names_of, dask_address=cluster.scheduler_address)
    assert found == ingest_corpus(sources, rules, names_of)
