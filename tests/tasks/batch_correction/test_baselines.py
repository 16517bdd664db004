"""Simple methods and variants of the model on the same cells."""

import numpy as np

from sc_mamba2.methods.integration import RECIPES
from sc_mamba2.tasks.batch_correction.baselines import compare, run_ablations, variant
from sc_mamba2.tasks.batch_correction.fit import split_validation
from sc_mamba2.tasks.batch_correction.params import (
    AblationParams,
    CandidateParams,
    CorrectionFitParams,
    HeadParams,
    LossParams,
)
from sc_mamba2.tasks.shared.params import PredictParams, TokenizationParams
from sc_mamba2.training import ComputeOptions


def test_simple_methods_need_three_cells(parts):
    params = TokenizationParams(variable_genes=50), CandidateParams(components=4), ComputeOptions()
    found = compare(parts.valid, parts.tokens, *params).embeddings
    assert found.keys() >= {"pca", *RECIPES}
    assert all(np.isfinite(it).all() and len(it) == 120 for it in found.values())
    assert compare(parts.valid[:2], parts.tokens.take(slice(2)), *params).embeddings == {}


def test_variants_leave_out_what_they_are_named_after():
    head, objective = HeadParams(paths=("trunk", "pooled")), LossParams()
    assert variant("no_adversary", head, objective)[1].adversary == 0
    assert variant("no_adversary", head, objective)[0] == head
    assert not variant("no_domain_norm", head, objective)[0].domain_norm
    assert variant("pooled_alone", head, objective)[0].paths == ("pooled",)
    assert variant("pooled_alone", head, objective)[1] == objective


def test_a_variant_is_trained_as_the_model_is_and_the_model_stays_untrained(parts):
    model = parts.model()
    before = model.sha256()
    options = CorrectionFitParams(max_epochs=1), PredictParams(), ComputeOptions()
    tokens = (*split_validation(parts.tokens, 0.1, 0), parts.tokens)
    found = run_ablations(model, *tokens, AblationParams(names=("pooled_alone",)), *options)
    assert found["pooled_alone"].shape == (120, 8) and model.sha256() == before
    assert run_ablations(model, *tokens, AblationParams(), *options) == {}
