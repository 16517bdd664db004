"""Tokenizer, tokens and checkpoint as catalog entries."""

import numpy as np
import pandas as pd
import pytest
import torch
from kedro.io import DatasetError
from scipy import sparse

from sc_mamba2.datasets import CheckpointDataset, IndexDataset, TokenizerDataset, TokensDataset
from sc_mamba2.errors import UserError
from sc_mamba2.genes import Vocabulary
from sc_mamba2.model import Backbone, preset
from sc_mamba2.tasks.annotation.model import AnnotationModel
from sc_mamba2.tasks.annotation.params import HeadParams
from sc_mamba2.tokens import Tokenizer, TokenizerRules, make_batch

NAMES = ("<pad>", "<cls>", *(f"ENSG{number:011d}" for number in range(8)))
ANNOTATION = "sc_mamba2.tasks.annotation.model.AnnotationModel"


@pytest.fixture
def tokenizer() -> Tokenizer:
    return Tokenizer(Vocabulary("eight", NAMES, NAMES), TokenizerRules(n_bins=9, max_length=7))


@pytest.fixture
def tokens(tokenizer):
    values = np.random.default_rng(0).integers(0, 4, (5, 8)).astype(np.float32)
    obs = pd.DataFrame({"label": list("ababa")}, index=list("vwxyz"))
    return tokenizer.tokenize(sparse.csr_matrix(values), np.array(NAMES[2:]), obs)


@pytest.fixture
def model(tokenizer) -> AnnotationModel:
    torch.manual_seed(0)
    config = preset("micro", len(NAMES), d_model=16, d_state=8, head_dim=8, n_layers=1)
    parts = (("a", "b"), (1.0, 1.0), HeadParams(), "cell_type")
    return AnnotationModel(Backbone(config), tokenizer, *parts).eval()


def fail(*_, **__):
    raise OSError("no space left on device")


def test_tokenizer_roundtrip(tokenizer, tmp_path):
    dataset = TokenizerDataset(str(tmp_path / "deep" / "tokenizer.json"))
    assert not dataset.exists()
    dataset.save(tokenizer)
    read = TokenizerDataset(str(dataset.filepath)).load()
    assert dataset.exists()
    assert read.rules == tokenizer.rules and read.vocabulary == tokenizer.vocabulary


def test_tokens_roundtrip(tokens, tmp_path):
    dataset = TokensDataset(str(tmp_path / "deep" / "tokens"))
    assert not dataset.exists()
    dataset.save(tokens)
    read = TokensDataset(str(dataset.filepath)).load()
    assert dataset.exists() and read.obs.equals(tokens.obs)
    for name in ("gene_rows", "bins", "values", "offsets"):
        assert np.array_equal(getattr(read, name), getattr(tokens, name))


def test_checkpoint_roundtrip(model, tokens, tmp_path):
    dataset = CheckpointDataset(str(tmp_path / "deep" / "model"), ANNOTATION)
    assert not dataset.exists()
    dataset.save(model)
    read = CheckpointDataset(str(dataset.filepath), ANNOTATION).load()
    assert dataset.exists() and type(read) is AnnotationModel and not read.training
    assert read.sha256() == model.sha256() and read.settings() == model.settings()
    batch = make_batch(tokens, np.arange(5), model.tokenizer.vocabulary)
    with torch.no_grad():
        left, right = model.predict(batch), read.predict(batch)
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_checkpoint_is_replaced_whole(model, tmp_path):
    dataset = CheckpointDataset(str(tmp_path / "model"), ANNOTATION)
    dataset.save(model)
    (tmp_path / "model" / "leftover.txt").write_text("old")
    with torch.no_grad():
        model.bias_K += 1
    dataset.save(model)
    read = CheckpointDataset(str(dataset.filepath), ANNOTATION).load()
    assert read.sha256() == model.sha256()
    assert not (tmp_path / "model" / "leftover.txt").exists()


def test_damaged_checkpoint_is_a_user_error_inside(model, tmp_path):
    dataset = CheckpointDataset(str(tmp_path / "model"), ANNOTATION)
    dataset.save(model)
    tensors = tmp_path / "model" / "model.safetensors"
    content = bytearray(tensors.read_bytes())
    content[-1] ^= 1
    tensors.write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        CheckpointDataset(str(dataset.filepath), ANNOTATION).load()
    assert isinstance(caught.value.__cause__, UserError)


@pytest.mark.parametrize("kind", ["tokenizer", "tokens", "model"])
def test_a_failing_save_leaves_the_old_one(kind, request, tmp_path, monkeypatch):
    data = request.getfixturevalue(kind)
    dataset = {
        "tokenizer": lambda path: TokenizerDataset(path),
        "tokens": lambda path: TokensDataset(path),
        "model": lambda path: CheckpointDataset(path, ANNOTATION),
    }[kind](str(tmp_path / "thing"))
    dataset.save(data)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert before
    monkeypatch.setattr("sc_mamba2.files._sync", fail)
    with pytest.raises(DatasetError, match="no space left"):
        dataset.save(data)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["thing"]


@pytest.mark.parametrize(
    ("dataset", "rule"),
    [
        (CheckpointDataset(None, ANNOTATION), "checkpoint-folder"),
        (IndexDataset(None), "index-folder"),
    ],
)
def test_no_folder_is_refused_on_load(dataset, rule):
    assert dataset.filepath is None and not dataset.exists()
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert caught.value.__cause__.rule == rule
