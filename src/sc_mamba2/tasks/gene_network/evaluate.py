"""How well every way of scoring finds the known edges, on the same pairs."""

from typing import Any

import numpy as np

from sc_mamba2.metrics.networks import edge_scores
from sc_mamba2.tasks.gene_network.params import Method
from sc_mamba2.tasks.gene_network.reference import ReferenceNetwork
from sc_mamba2.tasks.gene_network.scores import PairScores

Scores = dict[str, dict[str, float]]


def judged_pairs(
    scores: PairScores, reference: ReferenceNetwork | None
) -> tuple[np.ndarray, np.ndarray]:
    """Tell which pairs are judged, and which of all are known edges, (R, T) bool each.

    Judged are pairs of two genes whose regulator has a known edge to one of the targets.
    """
    choice = scores.choice
    if reference is None:
        nothing = np.zeros(choice.pairs().shape, dtype=bool)
        return nothing, nothing
    truth_RT = reference.truth(choice.regulators, choice.targets)
    return choice.pairs() & truth_RT.any(axis=1, keepdims=True), truth_RT


def score_all(
    scores: PairScores, reference: ReferenceNetwork | None, method: Method
) -> dict[str, Any]:
    """Return the scores of model, baselines and ablations by method, and what they stand on."""
    judged_RT, truth_RT = judged_pairs(scores, reference)
    truth = truth_RT[judged_RT]
    facts = {
        "judged_pairs": int(judged_RT.sum()),
        "judged_regulators": int(judged_RT.any(axis=1).sum()),
        "known_edges": int(truth.sum()),
    }
    if not 0 < truth.sum() < len(truth):
        return {"model": {}, "baselines": {}, "ablations": {}, "facts": facts}

    def score(named: dict[str, np.ndarray]) -> Scores:
        return {name: edge_scores(found[judged_RT], truth) for name, found in named.items()}

    own = score(scores.by_method)
    parts = {f"{name} alone": own[name] for name in own if name != method}
    return {
        "model": own[method],
        "baselines": score(scores.baselines),
        "ablations": parts | score(scores.ablations),
        "facts": facts,
    }
