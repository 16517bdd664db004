"""Cells of known batches; the corrected expression in the places of the user's genes."""

import numpy as np
import pytest
import torch
from tests.tasks.batch_correction.conftest import KEYS

from sc_mamba2.errors import UserError
from sc_mamba2.tasks.batch_correction.predict import corrected_layer, prepare_known


def test_known_batches_are_read_under_the_models_own_key(parts):
    model, keys = parts.model(), KEYS.model_copy(update={"batch_key": "another"})
    tokens, truth = prepare_known(parts.valid, model, keys)
    assert np.array_equal(tokens.gene_rows, parts.tokens.gene_rows)
    assert truth.equals(parts.truth)
    other = parts.valid.copy()
    other.obs["batch"] = "new"
    with pytest.raises(UserError) as refusal:
        prepare_known(other, model, keys)
    assert refusal.value.rule == "batch-unknown"


def test_expression_lies_in_the_first_column_of_each_gene_of_the_model(joined, monkeypatch):
    model, embedding = joined.model, joined.embedding[:7]
    one, other = model.tokenizer.vocabulary.gene_rows[[5, 2]]
    monkeypatch.setattr("sc_mamba2.tasks.batch_correction.predict.CELLS_AT_ONCE", 3)
    layer, decoded = corrected_layer(model, embedding, np.array([-1, one, one, other]))
    assert decoded.tolist() == [False, True, False, True]
    expected = model.corrected_expression(torch.from_numpy(embedding)).numpy()
    np.testing.assert_allclose(layer.toarray()[:, [1, 3]], expected[:, [one, other]], rtol=1e-5)
    assert not layer.toarray()[:, [0, 2]].any() and layer.min() >= 0
