import numpy as np
import pytest
import torch
from scipy import sparse
from tests.tasks.multiomics.conftest import make_parts

from sc_mamba2.model import read_checkpoint
from sc_mamba2.tasks.multiomics.initial_embedding import ModalityBlock, new_model
from sc_mamba2.tasks.multiomics.params import HeadParams, JointBackboneParams
from sc_mamba2.tasks.shared.backbone import predict
from sc_mamba2.tasks.shared.params import PredictParams
from sc_mamba2.tokens import KINDS, as_matrix, kinds_of
from sc_mamba2.training import ComputeOptions


def values_of(tokens, vocabulary, kind):
    columns = np.flatnonzero(kinds_of(vocabulary) == KINDS.index(kind))
    return as_matrix(tokens, vocabulary.size)[:, columns].toarray()


@pytest.mark.parametrize("paths", [("pooled",), ("trunk", "pooled")])
def test_an_untrained_model_is_the_components_of_both_side_by_side(whole, paths):
    model = whole.model(paths=paths, shrink=False)
    told = predict(model, whole.training, PredictParams(), ComputeOptions())["joint"]
    first = 0
    for kind, width in model.widths.items():
        values = values_of(whole.training, whole.vocabulary, kind)
        left, sizes, _ = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
        scores = (left * sizes)[:, :width]
        scores /= np.sqrt((scores**2).sum(axis=1).mean())
        block = told[:, first : first + width]
        agreement = np.abs((block * scores).sum(0)) / np.linalg.norm(block, axis=0)
        np.testing.assert_allclose(agreement / np.linalg.norm(scores, axis=0), 1, atol=1e-3)
        sizes = np.linalg.norm(block, axis=0) / np.linalg.norm(scores, axis=0)
        np.testing.assert_allclose(sizes, 1, atol=0.02)
        first += width
    assert first == told.shape[1]


def test_no_modality_drowns_another(whole):
    model = whole.model()
    told = predict(model, whole.training, PredictParams(), ComputeOptions())["joint"]
    rna, protein = np.split(told, [model.widths["rna"]], axis=1)
    assert (rna**2).sum() == pytest.approx((protein**2).sum(), rel=0.1)


def test_each_batch_starts_at_a_mean_of_its_own(parts):
    model = parts.model()
    told = predict(model, parts.training, PredictParams(), ComputeOptions())["joint"]
    for batch in ("first", "second"):
        own = told[(parts.training.obs["batch"] == batch).to_numpy()]
        np.testing.assert_allclose(own.mean(axis=0), 0, atol=1e-4)


def test_a_protein_starts_as_the_gene_that_codes_for_it(whole):
    model = whole.model()
    twins = np.array([[model.tokenizer.vocabulary.size - 1, 3]])
    before = model.backbone.gene_embedding.weight.detach()
    assert not torch.equal(before[-1], before[3])  # the simulated genes are others
    parts = (model.tokenizer, model.weight_V.numpy(), twins, whole.training)
    params = (model.head, model.objective, model.features, None, 0)
    rows = new_model(model.backbone, *parts, *params).backbone.gene_embedding.weight.detach()
    assert torch.equal(rows[-1], rows[3])


def test_a_model_made_again_from_the_grown_backbone_is_the_same(parts):
    model = parts.model()
    given = (model.weight_V.numpy(), np.zeros((0, 2), int), parts.training, model.head)
    rest = (model.objective, model.features, model.batch_key, 0)
    again = new_model(model.backbone, model.tokenizer, *given, *rest)
    assert again.sha256() == model.sha256()


def test_the_pretrained_trunk_is_loaded_whole():
    start = JointBackboneParams()
    pretrained = read_checkpoint(start.checkpoint)
    parts = make_parts(None, 0.0, start)
    state = parts.model().backbone.state_dict()
    theirs = {
        name.removeprefix("backbone."): tensor
        for name, tensor in pretrained.state.items()
        if name.startswith("backbone.")
    }
    embedding = "gene_encoder.embedding.weight"
    equal = [
        name for name in theirs if name != embedding and torch.equal(theirs[name], state[name])
    ]
    assert len(equal) == len(theirs) - 1 > 40
    known = pretrained.vocabulary.rows_of(parts.vocabulary.ids)
    ours = np.flatnonzero(known >= 0)
    assert len(ours) > 80
    assert torch.equal(state[embedding][ours], theirs[embedding][known[ours]])
    assert parts.vocabulary.size > len(ours)


def test_what_lies_between_batches_does_not_count_as_noise():
    generator = np.random.default_rng(0)
    cells, features = 80, 40
    truth = 5 * np.outer(generator.normal(size=cells), generator.normal(size=features))
    values = truth + generator.normal(size=(cells, features))
    codes = np.arange(cells) % 2
    have, columns = np.ones(cells, bool), np.arange(features)

    def table(shift: float) -> np.ndarray:
        moved = sparse.csr_matrix(values + shift * codes[:, None] * generator.normal(size=features))
        return ModalityBlock(moved, have, codes, columns, HeadParams(components=4), 0).table_SC

    np.testing.assert_allclose(np.abs(table(30.0)), np.abs(table(0.0)), rtol=1e-4, atol=1e-9)
