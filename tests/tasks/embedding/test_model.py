"""Which checkpoints embed: pretrained and fine-tuned ones; and the vectors of their genes."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from tests.checkpoints import random_backbone, simulated_vocabulary

from sc_mamba2.errors import UserError
from sc_mamba2.model import PretrainedModel
from sc_mamba2.model.manifest import write_manifest
from sc_mamba2.tasks.annotation.model import AnnotationModel
from sc_mamba2.tasks.annotation.params import HeadParams
from sc_mamba2.tasks.embedding.model import gene_table, load_encoder
from sc_mamba2.tasks.embedding.params import EmbeddingOptions
from sc_mamba2.tokens import Tokenizer, TokenizerRules


def read(folder, **options):
    return load_encoder(EmbeddingOptions(checkpoint=str(folder), **options))


def same_weights(one, other) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


def test_a_pretrained_model_lends_its_backbone(checkpoint):
    encoder, model = read(checkpoint), PretrainedModel.from_pretrained(checkpoint)
    assert same_weights(encoder.backbone, model.backbone) and not encoder.backbone.training
    assert encoder.tokenizer.to_json() == model.tokenizer.to_json()


def test_a_fine_tuned_model_lends_its_backbone(tmp_path):
    vocabulary = simulated_vocabulary(60)
    tokenizer = Tokenizer(vocabulary, TokenizerRules(max_length=50))
    head = (("a", "b"), (1.0, 1.0), HeadParams(), "cell_type")
    model = AnnotationModel(random_backbone(vocabulary), tokenizer, *head)
    model.save_pretrained(tmp_path / "tuned")
    encoder = read(tmp_path / "tuned")
    assert same_weights(encoder.backbone, model.backbone)
    assert encoder.tokenizer.rules.max_length == 50
    assert read(tmp_path / "tuned", max_length=20).tokenizer.rules.max_length == 20


def test_a_checkpoint_without_a_tokenizer_is_refused(checkpoint, tmp_path):
    PretrainedModel.from_pretrained(checkpoint).save_pretrained(tmp_path / "bad")
    config = json.loads((tmp_path / "bad" / "config.json").read_text())
    del config["tokenizer"]
    (tmp_path / "bad" / "config.json").write_text(json.dumps(config))
    write_manifest(tmp_path / "bad")
    with pytest.raises(UserError, match="checkpoint-config"):
        read(tmp_path / "bad")
    with pytest.raises(UserError, match="checkpoint-folder"):
        read(tmp_path / "nowhere")


def test_the_table_of_genes_is_the_embedding_by_ensembl_id(checkpoint):
    encoder = read(checkpoint)
    table, vocabulary = gene_table(encoder), encoder.tokenizer.vocabulary
    assert list(table.columns[:2]) == ["ensembl_id", "symbol"] and table.shape == (200, 2 + 64)
    assert not table["ensembl_id"].str.startswith("<").any()
    weights = encoder.backbone.gene_embedding.weight.detach().numpy()
    for _, gene in table.sample(20, random_state=0).iterrows():
        row = vocabulary.rows_of([gene["ensembl_id"]])[0]
        assert vocabulary.symbols[row] == gene["symbol"]
        assert np.array_equal(pd.to_numeric(gene.iloc[2:]).to_numpy(np.float32), weights[row])
