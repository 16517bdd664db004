"""Vectors on disk: the same for every block, batch and order; killed, it goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from sc_mamba2.cells import simulate_cells
from sc_mamba2.errors import UserError
from sc_mamba2.tasks.embedding import encode

BOUND = 1e-5  # property 4 in fp32, relative to the largest value


def vectors(embedded) -> np.ndarray:
    return np.concatenate(list(embedded))


def assert_near(found: np.ndarray, expected: np.ndarray) -> None:
    assert np.abs(found - expected).max() <= BOUND * np.abs(expected).max()


@pytest.mark.parametrize("pooling", [("cls",), ("mean", "pooled", "cls")], ids="+".join)
def test_no_cell_depends_on_its_block_batch_place_or_company(embed, cells_file, tmp_path, pooling):
    whole = vectors(embed(cells_file, pooling=pooling))
    assert whole.shape == (50, 64 * len(pooling)) and whole.dtype == np.float32
    assert len(np.unique(whole, axis=0)) == 50
    assert_near(vectors(embed(cells_file, "a", pooling=pooling, batch_size=7)), whole)
    assert_near(vectors(embed(cells_file, "b", pooling=pooling, cells_a_block=50)), whole)
    cells = ad.read_h5ad(cells_file)
    order = np.random.default_rng(0).permutation(50)
    cells[order].write_h5ad(tmp_path / "shuffled.h5ad")
    assert_near(vectors(embed(tmp_path / "shuffled.h5ad", "c", pooling=pooling)), whole[order])
    cells[[31]].write_h5ad(tmp_path / "alone.h5ad")
    assert_near(vectors(embed(tmp_path / "alone.h5ad", "d", pooling=pooling)), whole[[31]])


def test_the_same_embedding_twice_is_bit_equal(embed, cells_file):
    first, second = vectors(embed(cells_file)), vectors(embed(cells_file, "again"))
    assert np.array_equal(first, second)


def test_take_and_genes_are_those_of_the_cells(embed, cells_file):
    embedded = embed(cells_file)
    chosen = np.array([0, 15, 16, 31, 49])
    assert np.array_equal(embedded.take(chosen), vectors(embedded)[chosen])
    counts = ad.read_h5ad(cells_file).X
    assert np.array_equal(embedded.genes_a_cell(), np.diff(counts.indptr))


def interrupt_after(monkeypatch, blocks: int) -> None:
    """Let the encoding of a later block fail as Ctrl-C does."""
    real, done = encode.encode_cells, []

    def once(*parts):
        if len(done) == blocks:
            raise KeyboardInterrupt
        done.append(1)
        return real(*parts)

    monkeypatch.setattr(encode, "encode_cells", once)


def test_an_interrupted_run_goes_on_with_the_next_block(embed, cells_file, monkeypatch, tmp_path):
    whole = vectors(embed(cells_file, "whole"))
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            embed(cells_file)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "blocks").glob("cells-*.npz")}
    assert len(kept) == 2
    assert np.array_equal(vectors(embed(cells_file)), whole)
    assert all(path.stat().st_mtime_ns == at for path, at in kept.items())
    assert len(list((tmp_path / "blocks").glob("cells-*.npz"))) == 4


@pytest.mark.parametrize("change", ["pooling", "block", "length", "file"])
def test_what_another_embedding_left_is_not_taken(embed, tmp_path, change):
    path = tmp_path / "cells.h5ad"
    simulate_cells(40).write_h5ad(path)
    embed(path)
    options = {
        "pooling": {"pooling": ("mean",)},
        "block": {"cells_a_block": 20},
        "length": {"max_length": 30},
        "file": {},
    }[change]
    if change == "file":
        simulate_cells(40, seed=1).write_h5ad(path)
    found = vectors(embed(path, **options))
    assert np.array_equal(found, vectors(embed(path, "fresh", **options)))


def test_a_folder_with_something_else_is_left_alone(embed, cells_file, tmp_path):
    (tmp_path / "blocks").mkdir()
    (tmp_path / "blocks" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="blocks-foreign"):
        embed(cells_file)
    assert (tmp_path / "blocks" / "notes.txt").read_text() == "mine"


def test_bad_keys_are_refused_before_anything_is_computed(embed, cells_file, tmp_path):
    for keys in ({"label_key": "cel_type"}, {"batch_key": "bach"}):
        with pytest.raises(UserError, match="label-missing"):
            embed(cells_file, **keys)
    assert not (tmp_path / "blocks").exists()


KILLED = """
import sys, time
from pathlib import Path
from sc_mamba2.tasks.embedding import encode
from sc_mamba2.runs.selection import Selection
from sc_mamba2.runs.session import run_in_folder
real = encode.write_block
def slowly(*parts):
    real(*parts)
    time.sleep(0.2)
encode.write_block = slowly
cells, checkpoint, folder = sys.argv[1:]
options = {"checkpoint": checkpoint, "cells_a_block": 5}
params = {"input": cells, "embedding": {"source": {"blocks": folder + "/blocks"}, "options": options}}
run_in_folder(Selection(pipelines=("embedding",), params=params), Path(folder))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kills by a signal")
def test_a_killed_process_loses_no_finished_block(embed, cells_file, checkpoint, tmp_path):
    words = [cells_file, checkpoint, tmp_path]
    child = subprocess.Popen([sys.executable, "-c", KILLED, *map(str, words)])
    blocks, end = tmp_path / "blocks", time.monotonic() + 120
    while len(list(blocks.glob("cells-*.npz"))) < 3 and time.monotonic() < end:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    kept = {path: path.stat().st_mtime_ns for path in blocks.glob("cells-*.npz")}
    assert 3 <= len(kept) < 10
    found = embed(cells_file, cells_a_block=5)
    assert all(path.stat().st_mtime_ns == at for path, at in kept.items())
    assert np.array_equal(vectors(found), vectors(embed(cells_file, "whole", cells_a_block=5)))
    assert not [path for path in blocks.iterdir() if path.name.startswith(".")]


def test_sources_that_are_no_h5ad(embed, cells_file, tmp_path):
    cells = ad.read_h5ad(cells_file)
    cells.write_zarr(tmp_path / "cells.zarr")
    expected = vectors(embed(cells_file))
    assert np.array_equal(vectors(embed(tmp_path / "cells.zarr", "zarr")), expected)
    named = embed("simulated:three-types", "named")
    assert named.shape == (150, 64)
    assert Path(named.folder).is_dir()
