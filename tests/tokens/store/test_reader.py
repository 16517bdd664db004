"""What a store gives back is what was written, from any process, or an error that says what is wrong."""

import json
import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, strategies as st
from tests.properties import promised

from sc_mamba2.errors import UserError
from sc_mamba2.genes import Vocabulary
from sc_mamba2.tokens import (
    TokenizedCells,
    Tokenizer,
    TokenizerRules,
    TokenStore,
    TokenStoreWriter,
    make_batch,
)
from sc_mamba2.tokens.store.manifest import write_manifest

FILES = ["gene_rows.npy", "bins.npy", "values.npy", "offsets.npy", "obs.parquet"]
PATHS = ["manifest.json", "tokenizer.json", *(f"shard-000001/{name}" for name in FILES)]


def assert_same(left: TokenizedCells, right: TokenizedCells) -> None:
    for name in ("gene_rows", "bins", "values", "offsets"):
        assert np.array_equal(getattr(left, name), getattr(right, name)), name
        assert getattr(left, name).dtype == getattr(right, name).dtype, name
    pd.testing.assert_frame_equal(left.obs, right.obs)


def test_round_trip(store_folder, tokens):
    store = TokenStore.open(store_folder)
    assert len(store.manifest.shards) == 3 and len(store) == 12
    assert_same(store.take(np.arange(12)), tokens)
    assert store.lengths.tolist() == tokens.lengths.tolist() and store.lengths.dtype == np.int32
    pd.testing.assert_frame_equal(store.obs(), tokens.obs)
    assert store.tokenizer.to_json() == Tokenizer.from_json(store.tokenizer.to_json()).to_json()
    store.verify()


@promised
@given(cells=st.lists(st.integers(0, 11), max_size=15))
def test_take_against_tokens_in_memory(cells, tmp_path_factory):
    store, tokens = shared_store(tmp_path_factory)
    assert_same(store.take(np.array(cells, dtype=int)), tokens.take(np.array(cells, dtype=int)))
    batch, twin = (make_batch(source, np.array(cells), VOCABULARY) for source in (store, tokens))
    for name in batch.__dataclass_fields__:
        assert torch.equal(getattr(batch, name), getattr(twin, name)), name


def test_take_a_mask_and_some_columns(store_folder, tokens):
    tokens = TokenStore.open(store_folder).take(np.arange(12) % 2 == 1, columns=[])
    assert tokens.obs.index.tolist() == [f"cell {n}" for n in range(1, 12, 2)]
    assert len(tokens.obs.columns) == 0


def test_a_column_that_the_store_lacks(store_folder):
    store = TokenStore.open(store_folder)
    for read in (store.obs, lambda columns: store.take(np.array([0]), columns)):
        with pytest.raises(UserError, match=r"store-columns.*did you mean 'label'"):
            read(["labels"])


@pytest.mark.parametrize("cells", [[12], [-1], [0, 99]])
def test_positions_outside_the_store(store_folder, cells):
    with pytest.raises(IndexError):
        TokenStore.open(store_folder).gather(np.array(cells))


@pytest.mark.parametrize(
    ("n_bins", "extra", "types"), [(256, 0, "uint16 uint8"), (257, 2**16, "int32 int16")]
)
def test_columns_are_as_narrow_as_the_tokenizer_allows(tmp_path, n_bins, extra, types):
    names = ("<pad>", "<cls>", *(f"g{n}" for n in range(40 + extra)))
    tokenizer = Tokenizer(Vocabulary("some", names, names), TokenizerRules(n_bins=n_bins))
    highest = np.array([0, n_bins - 1], np.int16)
    rows = np.array([2, len(names) - 1], np.int32)
    obs = pd.DataFrame(index=["a"])
    cells = TokenizedCells(rows, highest, np.float32([0.1, 9]), np.array([0, 2]), obs)
    with TokenStoreWriter(tmp_path, tokenizer) as writer:
        writer.add(cells)
    store = TokenStore.open(tmp_path)
    assert_same(store.take(np.array([0])), cells)
    assert " ".join(str(column.dtype) for column in store.gather([0])[:2]) == types


def test_an_empty_store_and_cells_without_genes(tmp_path, tokenizer, tokens):
    with TokenStoreWriter(tmp_path, tokenizer):
        pass
    store = TokenStore.open(tmp_path)
    assert (
        len(store) == len(store.lengths) == len(store.obs()) == len(store.take(np.array([]))) == 0
    )
    with TokenStoreWriter(tmp_path, tokenizer) as writer:
        writer.add(tokens.take(np.array([3, 3])))
    assert TokenStore.open(tmp_path).take(np.array([1, 0])).lengths.tolist() == [0, 0]


def test_a_pickled_store_reads_on(store_folder, tokens):
    store = TokenStore.open(store_folder)
    store.take(np.arange(12))
    text = pickle.dumps(store)
    assert_same(pickle.loads(text).take(np.arange(12)), tokens)
    assert len(text) < 2 * len(pickle.dumps((store.manifest, store.tokenizer)))


def test_many_processes_read_at_once(store_folder, tokens):
    store = TokenStore.open(store_folder)
    with multiprocessing.get_context("fork").Pool(3) as pool:
        for taken in pool.map(store.take, [np.arange(12)] * 6):
            assert_same(taken, tokens)


def test_a_reader_keeps_what_it_opened(store_folder, tokenizer, tokens):
    store = TokenStore.open(store_folder)
    with TokenStoreWriter(store_folder, tokenizer) as writer:
        writer.add(tokens)
    assert len(store) == 12 and len(TokenStore.open(store_folder)) == 24
    assert_same(store.take(np.arange(12)), tokens)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" " * 7)


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("damage", [cut, lengthen, Path.unlink])
def test_a_file_of_another_size_is_found_on_opening(store_folder, name, damage):
    if (name, damage) == ("manifest.json", lengthen):
        return  # spaces behind JSON mean nothing
    damage(store_folder / name)
    with pytest.raises(UserError) as caught:
        TokenStore.open(store_folder)
    missing = (name, damage) == ("manifest.json", Path.unlink)
    assert caught.value.rule == ("store-missing" if missing else "store-damaged")
    assert name in caught.value.found.replace("\\", "/")


@given(data=st.data())
def test_a_changed_bit_in_any_file_is_found(data, tmp_path_factory):
    store, _ = shared_store(tmp_path_factory)
    path = store.folder / data.draw(st.sampled_from(PATHS))
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(changed)
    try:
        TokenStore.open(store.folder).verify()
        found = path.name == "manifest.json" and json.loads(changed) == json.loads(whole)
    except UserError as error:
        found = error.rule == "store-damaged" and str(path) in error.found
    finally:
        path.write_bytes(whole)
    assert found


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_shard_is_found_on_reading(store_folder, name):
    """Of the same size or not: what is mapped must agree with the manifest."""
    store = TokenStore.open(store_folder)
    (store_folder / "shard-000000" / name).replace(store_folder / "shard-000001" / name)
    with pytest.raises(UserError, match="store-damaged"):
        store.verify()
    if name != "values.npy":
        with pytest.raises(UserError, match="store-damaged"):
            TokenStore.open(store_folder).take(np.arange(12))


def test_no_store(tmp_path):
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(UserError, match="store-missing"):
            TokenStore.open(folder)


def test_another_version_of_the_format(store_folder):
    newer = TokenStore.open(store_folder).manifest.model_copy(update={"format": 2})
    write_manifest(store_folder, newer)
    with pytest.raises(UserError, match="store-format"):
        TokenStore.open(store_folder)


NAMES = ("<pad>", *(f"g{n}" for n in range(30)), "<cls>")
VOCABULARY = Vocabulary("thirty", NAMES, NAMES)
MADE: list[tuple[TokenStore, TokenizedCells]] = []


def shared_store(factory) -> tuple[TokenStore, TokenizedCells]:
    """A store for all examples of a property, and the same cells in memory."""
    if not MADE:
        generator = np.random.default_rng(0)
        lengths = generator.integers(0, 20, 12)
        cells = [np.sort(generator.choice(30, length, replace=False)) + 1 for length in lengths]
        rows = np.concatenate(cells).astype(np.int32)
        bins = generator.integers(1, 51, len(rows)).astype(np.int16)
        values = generator.gamma(2, 1, len(rows)).astype(np.float32)
        obs = pd.DataFrame({"study": list("ab" * 6)}, index=[f"cell {n}" for n in range(12)])
        tokens = TokenizedCells(rows, bins, values, np.cumsum([0, *lengths]), obs)
        folder = factory.mktemp("shared") / "store"
        with TokenStoreWriter(folder, Tokenizer(VOCABULARY, TokenizerRules()), 40) as writer:
            writer.add(tokens)
        MADE.append((TokenStore.open(folder), tokens))
    return MADE[0]
