"""Heads that are fitted directly, without epochs, on a frozen backbone.

F features of a path, K classes, N cells.
"""

import numpy as np

from sc_mamba2.methods.logistic_regression import Block, fit_linear_head
from sc_mamba2.methods.prototypes import fit_prototypes
from sc_mamba2.tasks.annotation.params import HeadParams


def fit_paths(
    blocks: dict[str, Block], classes_N: np.ndarray, n_classes: int, params: HeadParams, seed: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Fit the linear weights of every path.

    Parameters
    ----------
    blocks
        (N, F) by path: values by gene for the readout, if used, which comes first; embeddings.
    classes_N
        Classes, 0 to K - 1.
    n_classes
        K.
    params
        Which fit: ``linear`` is one logistic regression over all blocks; with ``prototypes`` embeddings
        use the nearest class mean and the readout its own logistic regression, and the logits are the
        mean of both (a geometric mean of probabilities).
    seed
        Seed of the folds that choose a penalty.

    Returns
    -------
    weights, bias_K
        (F, K) by path, and (K,).
    """
    variances = [1.0] + [params.embedding_variance] * (len(blocks) - 1)
    penalty = (params.regularisation, params.folds, seed)
    if params.fit == "linear":
        found = fit_linear_head(list(blocks.values()), variances, classes_N, n_classes, *penalty)
        return dict(zip(blocks, found.weights, strict=True)), found.bias_K
    embedded = {path: np.asarray(block) for path, block in blocks.items() if path != "readout"}
    experts = []
    if "readout" in blocks:
        readout = fit_linear_head([blocks["readout"]], [1.0], classes_N, n_classes, *penalty)
        experts.append((["readout"], readout))
    if embedded:
        means = fit_prototypes(list(embedded.values()), classes_N, n_classes)
        experts.append((list(embedded), means))
    share = 1 / len(experts)
    weights = {
        path: weight_FK * share
        for paths, expert in experts
        for path, weight_FK in zip(paths, expert.weights, strict=True)
    }
    return weights, np.sum([expert.bias_K for _, expert in experts], axis=0) * share
