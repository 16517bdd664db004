"""Blocks that other processes embed equal those of one to the bit, whoever dies."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from sc_mamba2.cells import simulate_cells
from sc_mamba2.cells.blocks import decide_stored_form
from sc_mamba2.cells.opening import open_cells
from sc_mamba2.cells.standard_form import StandardForm
from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table
from sc_mamba2.tasks.embedding.job import EmbedJob
from sc_mamba2.tasks.shared import launch as launching, worker_processes
from sc_mamba2.tasks.shared.block_job import work
from sc_mamba2.tasks.shared.params import LaunchParams

distributed = pytest.importorskip("distributed", reason="needs the extra distributed")


def blocks_of(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    return {path.name: dict(np.load(path)) for path in folder.glob("cells-*.npz")}


def assert_equal(found: Path, expected: Path) -> None:
    found, expected = blocks_of(found), blocks_of(expected)
    assert set(found) == set(expected)
    for name, arrays in expected.items():
        assert all(np.array_equal(found[name][key], array) for key, array in arrays.items())


@pytest.fixture
def one(embed, cells_file, tmp_path) -> Path:
    embed(cells_file, "one", cells_a_block=10)
    return tmp_path / "one"


@pytest.fixture
def ranks(monkeypatch):
    """Let a function stand for torchrun: the processes are calls, one after the other."""

    def stand(*chosen: int):
        def run(module, job, processes, on_poll):
            assert module == EmbedJob.worker
            for rank in chosen or range(processes):
                monkeypatch.setenv("RANK", str(rank))
                monkeypatch.setenv("WORLD_SIZE", str(processes))
                assert work(EmbedJob, [str(job)]) == 0
                on_poll()

        monkeypatch.setattr(worker_processes, "run_processes", run)

    return stand


def test_a_form_is_the_same_in_another_process(cells_file):
    with open_cells(cells_file) as stored:
        form = decide_stored_form(stored, load_gene_table(), 20)
        again = StandardForm.from_json(form.to_json())
        rows = stored.X.read(0, 20)
        first, second = (one.apply(rows.tocsr(), stored.obs[:20]) for one in (form, again))
    assert first.var.equals(second.var) and (first.X != second.X).nnz == 0
    assert again.report == form.report and first.var.index.name == second.var.index.name


def test_two_processes_are_one(embed, cells_file, tmp_path, one, ranks):
    ranks()
    embed(cells_file, "two", cells_a_block=10, launch=LaunchParams(processes=2))
    assert_equal(tmp_path / "two", one)


def test_what_a_process_left_is_shared_anew(embed, cells_file, tmp_path, one, ranks):
    ranks(1)
    two = LaunchParams(processes=2)
    with pytest.raises(UserError) as caught:
        embed(cells_file, "two", cells_a_block=10, launch=two)
    assert caught.value.rule == "blocks-missing" and "3 of 5" in caught.value.found
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "two").glob("cells-*.npz")}
    ranks()
    embed(cells_file, "two", cells_a_block=10, launch=two)
    assert_equal(tmp_path / "two", one)
    assert len(kept) == 2 and all(path.stat().st_mtime_ns == at for path, at in kept.items())


def test_processes_of_others_are_waited_for(embed, cells_file, tmp_path, one, monkeypatch):
    job, looks = tmp_path / "zero" / "job.json", []

    def others(seconds):
        looks.append(seconds)
        work(EmbedJob, [str(job)])

    monkeypatch.setattr(worker_processes.time, "sleep", others)
    embed(cells_file, "zero", cells_a_block=10, launch=LaunchParams(processes=0))
    assert len(looks) == 1
    assert_equal(tmp_path / "zero", one)


def test_a_cluster_is_one_process(embed, cells_file, tmp_path, one):
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        launch = LaunchParams(dask_address=cluster.scheduler_address)
        embed(cells_file, "dask", cells_a_block=10, launch=launch)
    assert_equal(tmp_path / "dask", one)


def test_processes_that_see_something_else_are_refused(embed, tmp_path, caplog, ranks):
    assert work(EmbedJob, [str(tmp_path / "job.json")]) == 2 and "job-missing" in caplog.text
    cells = tmp_path / "cells.h5ad"
    simulate_cells(12).write_h5ad(cells)
    ranks()
    embed(cells, "two", launch=LaunchParams(processes=2))
    simulate_cells(12, seed=1).write_h5ad(cells)
    assert work(EmbedJob, [str(tmp_path / "two" / "job.json")]) == 2
    assert "job-differs" in caplog.text and "a different source than" in caplog.text


def test_one_way_at_a_time():
    with pytest.raises(ValueError, match="alternatives"):
        LaunchParams(processes=2, dask_address="tcp://127.0.0.1:1")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kills by a signal")
def test_torchrun_whose_process_is_killed_goes_on(embed, tmp_path, monkeypatch):
    cells = tmp_path / "cells.h5ad"
    simulate_cells(400).write_h5ad(cells)
    embed(cells, "one", cells_a_block=10)
    two, killed = LaunchParams(processes=2), []

    def kill_one(real=time.sleep):
        def sleep(seconds):
            if not killed and len(list((tmp_path / "two").glob("cells-*.npz"))) > 3:
                killed.append(kill_worker(str(tmp_path / "two")))
            real(0.01)

        return sleep

    monkeypatch.setattr(launching.time, "sleep", kill_one())
    with pytest.raises(UserError) as caught:
        embed(cells, "two", cells_a_block=10, launch=two)
    assert caught.value.rule == "processes-failed" and killed
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "two").glob("cells-*.npz")}
    assert 3 < len(kept) < 40
    embed(cells, "two", cells_a_block=10, launch=two)
    assert all(path.stat().st_mtime_ns == at for path, at in kept.items())
    assert_equal(tmp_path / "two", tmp_path / "one")


def kill_worker(word: str) -> int:
    """Kill one of the processes that torchrun started for a folder; return its pid."""
    psutil = pytest.importorskip("psutil", reason="needs psutil")
    for process in psutil.Process().children(recursive=True):
        line = process.cmdline()
        if "torch.distributed.run" not in line and any(word in part for part in line):
            process.send_signal(signal.SIGKILL)
            return process.pid
    raise AssertionError("no process to kill")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kills by a signal")
def test_a_cluster_whose_worker_is_killed_comes_to_its_end(embed, tmp_path, monkeypatch):
    cells = tmp_path / "cells.h5ad"
    simulate_cells(400).write_h5ad(cells)
    embed(cells, "one", cells_a_block=10)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        pids, done = [worker.pid for worker in cluster.workers.values()], []
        real = worker_processes.in_order

        def in_order(pool, work, starts):
            for start in real(pool, work, starts):
                done.append(start)
                if len(done) == 5:
                    os.kill(pids[0], signal.SIGKILL)
                yield start

        monkeypatch.setattr(worker_processes, "in_order", in_order)
        launch = LaunchParams(dask_address=cluster.scheduler_address)
        embed(cells, "two", cells_a_block=10, launch=launch)
    assert done == list(range(0, 400, 10))
    assert_equal(tmp_path / "two", tmp_path / "one")
