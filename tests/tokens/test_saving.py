"""Tokens on disk come back as they were, or are refused."""

import numpy as np
import pandas as pd
import pytest

from sc_mamba2.errors import UserError
from sc_mamba2.tokens import load_tokens, save_tokens


def test_roundtrip(tokens, tmp_path):
    tokens.obs["batch"] = pd.Categorical(["x", "y"] * 6)
    save_tokens(tokens, tmp_path / "tokens")
    read = load_tokens(tmp_path / "tokens")
    for name in ("gene_rows", "bins", "values", "offsets"):
        assert np.array_equal(getattr(read, name), getattr(tokens, name))
        assert getattr(read, name).dtype == getattr(tokens, name).dtype
    pd.testing.assert_frame_equal(read.obs, tokens.obs)


def test_saving_again_replaces(tokens, tmp_path):
    save_tokens(tokens, tmp_path / "tokens")
    save_tokens(tokens.take(np.array([1])), tmp_path / "tokens")
    assert len(load_tokens(tmp_path / "tokens")) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["tokens"]


def truncate(path):
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize("name", ["tokens.safetensors", "obs.parquet"])
@pytest.mark.parametrize(
    "damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b""), truncate]
)
def test_damaged_folder(tokens, tmp_path, name, damage):
    save_tokens(tokens, tmp_path / "tokens")
    damage(tmp_path / "tokens" / name)
    with pytest.raises(UserError) as caught:
        load_tokens(tmp_path / "tokens")
    assert caught.value.rule == "tokens-damaged"


def test_files_of_two_folders_do_not_mix(tokens, tmp_path):
    save_tokens(tokens, tmp_path / "tokens")
    save_tokens(tokens.take(np.array([1])), tmp_path / "other")
    (tmp_path / "other" / "obs.parquet").replace(tmp_path / "tokens" / "obs.parquet")
    with pytest.raises(UserError, match="tokens-damaged"):
        load_tokens(tmp_path / "tokens")


def test_no_folder(tmp_path):
    with pytest.raises(UserError, match="tokens-damaged"):
        load_tokens(tmp_path / "none")
