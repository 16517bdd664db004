"""A store of three shards over the twelve cells of `tests/tokens`."""

from pathlib import Path

import pytest

from sc_mamba2.tokens import TokenStoreWriter


@pytest.fixture
def store_folder(tokens, tokenizer, tmp_path) -> Path:
    with TokenStoreWriter(tmp_path / "store", tokenizer, tokens_a_shard=60) as writer:
        writer.add(tokens)
    return tmp_path / "store"
