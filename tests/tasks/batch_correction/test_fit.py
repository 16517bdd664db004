import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from tests.tasks.batch_correction.conftest import KEYS

from sc_mamba2.tasks.batch_correction.fit import prepare, separate_truth, split_validation
from sc_mamba2.tasks.batch_correction.params import (
    AblationParams,
    HeadParams,
    KeyParams,
    LossParams,
)
from sc_mamba2.tasks.shared.backbone import predict
from sc_mamba2.tasks.shared.batches import batch_codes
from sc_mamba2.tasks.shared.params import BackboneParams, PredictParams, TokenizationParams
from sc_mamba2.tokens import make_batch
from sc_mamba2.training import ComputeOptions
from sc_mamba2.training.components import components


@pytest.mark.parametrize("paths", [("trunk", "pooled"), ("pooled",)])
def test_an_untrained_model_is_principal_components_without_the_batches_shifts(parts, paths):
    model = parts.model(paths=paths)
    embedded = predict(model, parts.tokens, PredictParams(), ComputeOptions())["embedding"]
    values = sparse.csr_matrix(
        (parts.tokens.values.astype(float), parts.tokens.gene_rows, parts.tokens.offsets),
        shape=(len(parts.tokens), parts.tokenizer.vocabulary.size),
    )
    codes = batch_codes(parts.tokens.obs["batch"], model.batches)
    scores, _ = components(values, codes, 8, 0)
    # The largest two follow from the gene embedding; a batch's own scale is taken away too.
    for place in range(2):
        for batch in (0, 1):
            own = codes == batch
            alike = np.corrcoef(embedded[own, place], scores[own, place])[0, 1]
            assert alike > 0.9
            assert abs(embedded[own, place].mean()) < 0.1


def test_the_first_reconstruction_beats_the_genes_means(parts):
    model = parts.model({"mask_share": 0.0, "mixing": 0.0}, paths=("pooled",)).eval()
    batch = make_batch(parts.tokens, np.arange(len(parts.tokens)), parts.tokenizer.vocabulary)
    assert float(model.loss(batch, model.targets(parts.tokens.obs))) < 1


def test_labels_stand_apart_from_what_the_model_sees(parts):
    batches = parts.valid.obs["batch"].astype(str)
    cells, truth = separate_truth(parts.valid, batches, KEYS)
    assert list(cells.obs) == ["batch"] and cells.X is parts.valid.X
    pd.testing.assert_index_equal(truth.index, parts.valid.obs_names)
    assert truth["label"].tolist() == parts.valid.obs["cell_type"].tolist()
    unlabelled = separate_truth(parts.valid, batches, KeyParams(label_key=None))[1]
    assert unlabelled["label"].tolist() == [None] * len(batches)


def test_the_cells_that_choose_the_epoch_are_of_every_batch_and_no_training_cells(parts):
    first, second = split_validation(parts.tokens, 0.2, 0)
    assert sorted([*first.obs.index, *second.obs.index]) == sorted(parts.tokens.obs.index)
    whole = parts.tokens.obs["batch"].value_counts()
    for batch, count in second.obs["batch"].value_counts().items():
        assert count == round(0.2 * whole[batch])


def test_preparing_follows_the_seed_and_leaves_the_cells_as_they_are(parts):
    params = (
        KEYS,
        TokenizationParams(variable_genes=50),
        BackboneParams(),
        HeadParams(fit="gradient", width=8),
    )
    rest, before = (LossParams(), AblationParams()), parts.valid.copy()
    models, splits = [], []
    for seed in (0, 0, 1):
        model, *tokens, _ = prepare(parts.valid, *params, *rest, ComputeOptions(seed=seed))
        models.append(model)
        splits.append(list(tokens[2].obs.index))
    assert models[0].sha256() == models[1].sha256() != models[2].sha256()
    assert splits[0] == splits[1] != splits[2]
    assert not (parts.valid.X != before.X).nnz and parts.valid.obs.equals(before.obs)
    assert all(torch.isfinite(weight).all() for weight in models[0].parameters())
