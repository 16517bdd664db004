"""Predicted cells move by their own context's change, and a new context speaks for itself."""

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from sc_mamba2.tasks.perturbation.predict import predict_population


def controls_of(model, levels: dict[str, float]) -> AnnData:
    """Control cells in turns of the contexts, whose genes are expressed at different levels."""
    generator = np.random.default_rng(0)
    genes = model.prior.effects.genes
    names = np.array(list(levels) * 30)
    values = generator.uniform(0.5, 1.5, (len(names), len(genes)))
    values *= np.array([levels[name] for name in names])[:, None]
    obs = pd.DataFrame({"context": names}, index=[f"c{at}" for at in range(len(names))])
    var = pd.DataFrame({"symbol": genes}, index=genes)
    return AnnData(sparse.csr_matrix(values.astype(np.float32)), obs=obs, var=var)


def moved(model, requested: str, controls: AnnData, context: str) -> tuple[np.ndarray, np.ndarray]:
    """The mean of a context's control cells, and how far that of the predicted cells is from it."""
    code = np.zeros((controls.n_obs, model.head.width))
    cells = predict_population(model, requested, controls, code, 2, 0)[0]
    mine = (controls.obs["context"] == context).to_numpy()
    level, predicted = (np.asarray(part[mine].mean(axis=0)).ravel() for part in (controls.X, cells))
    return level, predicted - level


def test_the_mean_of_every_context_moves_by_its_own_change(parts):
    model = parts.model(paths=("start",))
    controls = controls_of(model, {"first": 0.2, "second": 2.0})
    for context in ("first", "second"):
        level, change = moved(model, parts.requested, controls, context)
        estimate = model.prior.estimate(
            parts.requested, context, model.prior.effects.control_of(context)
        )
        np.testing.assert_allclose(change, np.maximum(estimate, -level), atol=1e-5)


def test_a_context_that_the_model_does_not_know_is_estimated_by_its_own_cells(parts):
    model = parts.model(paths=("start",))
    controls = controls_of(model, {"new": 1.0})
    like_second = np.maximum(model.prior.effects.control_CG[1], 0.01).astype(np.float32)
    controls.X = sparse.csr_matrix(np.tile(like_second, (controls.n_obs, 1)))
    level, change = moved(model, parts.requested, controls, "new")
    estimate, other = (
        model.prior.estimate(parts.requested, "new", control)
        for control in (level, model.prior.effects.control_of("new"))
    )
    np.testing.assert_allclose(change, np.maximum(estimate, -level), atol=1e-5)
    assert not np.allclose(np.maximum(estimate, -level), np.maximum(other, -level), atol=1e-3)
