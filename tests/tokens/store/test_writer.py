"""A store grows by whole shards, under one writer, and survives a kill at any moment."""

import multiprocessing
import os
import signal
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from hypothesis import given, settings, strategies as st

from sc_mamba2.errors import UserError
from sc_mamba2.tokens import Tokenizer, TokenizerRules, TokenStore, TokenStoreWriter

FORK = multiprocessing.get_context("fork")


def contents(folder) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*.*")) if path.is_file()}


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(0, 12), max_size=4), shard=st.sampled_from([1, 45, 60, 200]))
def test_blocks_change_nothing(cuts, shard, tmp_path_factory, tokenizer_and_tokens):
    tokenizer, tokens = tokenizer_and_tokens
    folder = tmp_path_factory.mktemp("store")
    for name, edges in (("once", [0, 12]), ("blocks", [0, *sorted(cuts), 12])):
        with TokenStoreWriter(folder / name, tokenizer, shard) as writer:
            for first, last in pairwise(edges):
                writer.add(tokens.take(np.arange(first, last)))
                assert len(writer) == last
    once, blocks = (contents(folder / name) for name in ("once", "blocks"))
    assert list(once.values()) == list(blocks.values())


@settings(max_examples=8)
@given(cut=st.integers(0, 12))
def test_appending_is_writing_at_once(cut, tmp_path_factory, tokenizer_and_tokens):
    tokenizer, tokens = tokenizer_and_tokens
    folder = tmp_path_factory.mktemp("store")
    for cells in (np.arange(cut), np.arange(cut, 12)):
        with TokenStoreWriter(folder, tokenizer, 70) as writer:
            writer.add(tokens.take(cells))
    taken = TokenStore.open(folder).take(np.arange(12))
    for name in ("gene_rows", "bins", "values", "offsets"):
        assert np.array_equal(getattr(taken, name), getattr(tokens, name))
    pd.testing.assert_frame_equal(taken.obs, tokens.obs)


@pytest.fixture(scope="module")
def tokenizer_and_tokens(vocabulary, expression):
    tokenizer = Tokenizer(vocabulary, TokenizerRules(n_bins=11, max_length=64))
    matrix, ids, obs = expression
    obs = obs.assign(study=pd.Categorical(list("xxyy" * 3)))
    return tokenizer, tokenizer.tokenize(matrix, ids, obs)


def test_shards_are_of_about_the_size_asked_for(store_folder):
    shards = TokenStore.open(store_folder).manifest.shards
    assert [shard.name for shard in shards] == ["shard-000000", "shard-000001", "shard-000002"]
    assert all(60 <= shard.tokens < 90 for shard in shards[:-1])


def test_categories_of_all_blocks_are_kept(tmp_path, tokenizer, tokens):
    with TokenStoreWriter(tmp_path, tokenizer, 60) as writer:
        for study, cells in (("x", np.arange(6)), ("y", np.arange(6, 12))):
            block = tokens.take(cells)
            obs = block.obs.assign(study=pd.Categorical([study] * 6))
            writer.add(replace(block, obs=obs))
    study = TokenStore.open(tmp_path).obs(["study"])["study"]
    assert study.tolist() == list("xxxxxxyyyyyy") and study.cat.categories.tolist() == ["x", "y"]


def test_an_error_drops_what_waits_and_keeps_what_stands(tmp_path, tokenizer, tokens):
    with pytest.raises(KeyError), TokenStoreWriter(tmp_path, tokenizer, 60) as writer:
        writer.add(tokens)
        raise KeyError
    assert 0 < len(TokenStore.open(tmp_path)) < 12
    with TokenStoreWriter(tmp_path, tokenizer) as writer:
        assert len(writer) == len(TokenStore.open(tmp_path))


def test_two_writers(store_folder, tokenizer, tokens):
    with TokenStoreWriter(store_folder, tokenizer) as writer:
        with (
            pytest.raises(UserError, match="run-locked"),
            TokenStoreWriter(store_folder, tokenizer),
        ):
            pass
        writer.add(tokens)
    assert len(TokenStore.open(store_folder)) == 24


def hold_and_die(folder, tokenizer, entered) -> None:
    with TokenStoreWriter(folder, tokenizer):
        entered.send(True)
        signal.pause()


def test_the_lock_of_a_killed_writer_is_free(store_folder, tokenizer, tokens):
    mine, theirs = FORK.Pipe()
    process = FORK.Process(target=hold_and_die, args=(store_folder, tokenizer, theirs))
    process.start()
    assert mine.recv()
    with pytest.raises(UserError, match="run-locked"), TokenStoreWriter(store_folder, tokenizer):
        pass
    process.kill()
    process.join()
    with TokenStoreWriter(store_folder, tokenizer) as writer:
        writer.add(tokens)
    assert len(TokenStore.open(store_folder)) == 24


def write_and_die(folder, tokenizer, tokens, moment: int) -> None:
    """Append the tokens and die at one of the calls that bring something to the disk."""
    left = [moment]

    def deadly(call):
        def wrapped(*arguments, **options):
            left[0] -= 1
            if not left[0]:
                os._exit(9)
            return call(*arguments, **options)

        return wrapped

    for name in ("fsync", "rename", "replace"):
        setattr(os, name, deadly(getattr(os, name)))
    with TokenStoreWriter(folder, tokenizer, 90) as writer:
        writer.add(tokens)


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_whole_shards(tmp_path, tokenizer, tokens):
    sizes, finished = set(), 0
    for moment in range(1, 200):
        folder = tmp_path / str(moment)
        process = FORK.Process(target=write_and_die, args=(folder, tokenizer, tokens, moment))
        process.start()
        process.join()
        finished += process.exitcode == 0
        with TokenStoreWriter(folder, tokenizer) as writer:
            sizes.add(len(writer))
            writer.add(tokens.take(np.arange(len(writer), 12)))
        store = TokenStore.open(folder)
        store.verify()
        assert np.array_equal(store.take(np.arange(12)).values, tokens.values)
        assert not [path for path in folder.glob(".*") if path.name != ".lock"]
        if finished:
            break
    assert finished and len(sizes) == 3 and moment > 20


def test_another_tokenizer(store_folder, tokenizer):
    other = Tokenizer(tokenizer.vocabulary, TokenizerRules(n_bins=12, max_length=64))
    with pytest.raises(UserError, match="store-tokenizer"), TokenStoreWriter(store_folder, other):
        pass
    with FileLock(store_folder / ".lock", timeout=0):
        pass


def test_other_columns(tmp_path, tokenizer, tokens):
    with (
        pytest.raises(UserError, match="store-columns"),
        TokenStoreWriter(tmp_path, tokenizer) as writer,
    ):
        writer.add(tokens)
        tokens.obs["more"] = 1
        writer.add(tokens)
