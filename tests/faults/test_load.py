"""More than anybody has: many cells, steps, entries of a catalog, and commands at once."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from tests.cli import entered
from tests.faults import load
from tests.training.corpora import small_job, write_store

from sc_mamba2.cells import simulate_cells
from sc_mamba2.cells.labels import MAX_CLASSES
from sc_mamba2.training.job import KeepOptions, PretrainOptions

MEGABYTE = 2**20


@pytest.mark.slow
def test_a_million_cells_are_validated_and_tokenized_in_bounded_memory(zygote, tmp_path, full):
    many = 1_000_000 if full else 50_000
    peaks = []
    for cells in (many // 2, many):
        load.write_many(tmp_path / f"{cells}.h5ad", cells)
        where = {"cells": str(tmp_path / f"{cells}.h5ad"), "store": str(tmp_path / f"{cells}")}
        code, said = zygote.run(load.validate_and_tokenize, **where)
        assert code == 0, said
        (counted, *peak), *_ = said
        assert counted == cells
        peaks.append(np.array(peak))
    # The table of the cells, a kilobyte each, and no matrix; a shard of tokens is only full in a full run.
    most = 1_000 * many // 2 + (0 if full else 400) * MEGABYTE
    assert (peaks[1] - peaks[0] < most).all(), peaks


@pytest.mark.slow
def test_two_hundred_thousand_steps_hold_no_more_memory_than_a_tenth(zygote, tmp_path, full):
    store = write_store(tmp_path / "store", cells=24, genes=8, max_length=8)
    small = PretrainOptions(steps=200_000 if full else 1_000, batch_size=2)
    keep = KeepOptions(log_every=1_000, judge_every=50_000, checkpoint_every=50_000, keep_last=2)
    job = small_job(store, tmp_path / "run", training=small, keep=keep)
    (tmp_path / "job.json").write_text(job.model_dump_json())
    code, (early, late) = zygote.run(load.train_long, job=str(tmp_path / "job.json"))
    assert code == 0
    assert late - early < 50 * MEGABYTE


@pytest.mark.slow
def test_a_thousand_classes_are_called(tmp_path, full):
    classes = MAX_CLASSES if full else 40
    cells = simulate_cells(4 * classes, 200)
    cells.obs["cell_type"] = [f"type {number % classes}" for number in range(len(cells))]
    cells.write_h5ad(tmp_path / "cells.h5ad")
    words = ("-r", tmp_path / "cells.h5ad", "-k", "cell_type", "-o", tmp_path / "out.h5ad")
    entered("annotate", *words)
    found = ad.read_h5ad(tmp_path / "out.h5ad")
    assert found.obsm["scm_cell_type_probability"].shape[1] == classes


@pytest.mark.slow
def test_a_catalog_of_two_thousand_entries(tmp_path, monkeypatch):
    entered("init", tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    entry = "entry_{0}: {{type: pandas.CSVDataset, filepath: data/01_raw/{0}.csv}}\n"
    many = Path("conf/base/catalog/many.yml")
    many.write_text("".join(entry.format(number) for number in range(2_000)))
    entered("run", "--pipeline", "tokenization", "--env", "test")


@pytest.mark.slow
def test_eight_commands_at_once_give_the_same(tmp_path, full):
    many = 8 if full else 2
    simulate_cells(60, 2_000).write_h5ad(tmp_path / "cells.h5ad")

    def embed(number: int) -> tuple[int, str]:
        words = ("embed", "cells.h5ad", "-o", f"{number}.h5ad")
        command = [sys.executable, "-m", "sc_mamba2", *words]
        env = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        return done.returncode, done.stderr

    with ThreadPoolExecutor(many) as pool:
        ended = list(pool.map(embed, range(many)))
    assert [code for code, _ in ended] == [0] * many, ended[0]
    first, *others = (ad.read_h5ad(tmp_path / f"{n}.h5ad").obsm["X_scm"] for n in range(many))
    assert all(np.array_equal(first, other) for other in others)
