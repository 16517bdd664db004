"""How well the ranking does where the answer is known: states of the file that are candidates themselves."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from anndata import AnnData

from sc_mamba2.cells import canonical_name, label_text
from sc_mamba2.errors import UserError
from sc_mamba2.metrics.retrieval import (
    hits,
    mean_reciprocal_rank,
    random_hits,
    random_reciprocal_rank,
    tied_rank,
)
from sc_mamba2.reporting import Scores
from sc_mamba2.tasks.perturbation.reverse.baselines import baseline_scores
from sc_mamba2.tasks.perturbation.reverse.params import KnownParams, StateParams
from sc_mamba2.tasks.perturbation.reverse.rank import Ranker
from sc_mamba2.tasks.perturbation.reverse.states import FEWEST_CELLS, read_query
from sc_mamba2.tasks.perturbation.split import PERTURBATION

MODEL = "model"
_SAME = 1e-3  # what a float32 and another order of summing may change


@dataclass(frozen=True)
class Found:
    """Where the right candidate of one known state stands.

    Attributes
    ----------
    state, cells
        The state and its cells.
    ranks
        Place of the right candidate by method, from 1; equals share the mean of their places.
    learnt
        Whether the checkpoint measured this very change: then its cells are those of the file.
    """

    state: str
    cells: int
    ranks: dict[str, float]
    learnt: bool


def find_known(
    valid_cells: AnnData,
    ranker: Ranker,
    states: StateParams,
    params: KnownParams,
    seed: int,
) -> list[Found]:
    """Look for every state of the file that is a candidate, in every way.

    Parameters
    ----------
    valid_cells
        Cells in the standard form.
    ranker
        Fitted; none of its choices stands on these cells.
    states, params, seed
        Where states are named; how many are looked for; seed of the draw among more.
    """
    column = label_text(valid_cells.obs[states.state_key]).astype(str)
    sizes = column.value_counts()
    place = {name: at for at, name in enumerate(ranker.offer.names)}
    known = {
        state: place[name]
        for state in sorted(sizes.index[sizes >= FEWEST_CELLS])
        if state != states.source and (name := _name_of(state)) in place
    }
    drawn = np.random.default_rng(seed).permutation(list(known))[: params.states]
    found = []
    for state in sorted(map(str, drawn)):
        asked = states.model_copy(update={"target": state})
        query = read_query(valid_cells, asked, ranker.offer.start.effects.genes)
        scores = ranker.scores(query)
        told = {MODEL: scores[ranker.method]} | scores | baseline_scores(query, ranker.offer)
        ranks = {name: tied_rank(own_C, known[state]) for name, own_C in told.items()}
        learnt = _is_learnt(ranker, ranker.offer.names[known[state]], query.change_G)
        found.append(Found(state, int(sizes[state]), ranks, learnt))
    return found


def score_known(found: list[Found], ranker: Ranker, params: KnownParams) -> dict[str, Any]:
    """Return the scores of model, baselines and other methods over the known states, and each state."""
    if not found:
        return {"model": {}, "baselines": {}, "ablations": {}, "known": []}

    def score(method: str) -> Scores:
        ranks = [one.ranks[method] for one in found]
        shares = {f"hits@{first}": hits(ranks, first) for first in params.first}
        return shares | {"mrr": mean_reciprocal_rank(ranks)}

    count = len(ranker.offer.names)
    chance = {f"hits@{first}": random_hits(count, first) for first in params.first}
    simple = [name for name in found[0].ranks if name not in {MODEL, *(ranker.judged or {})}]
    other = [name for name in ranker.judged or {} if name != ranker.method]
    return {
        "model": score(MODEL),
        "baselines": {name: score(name) for name in simple}
        | {"random": chance | {"mrr": random_reciprocal_rank(count)}},
        "ablations": {f"{name} alone": score(name) for name in other},
        "known": [one.__dict__ for one in found],
    }


def calibration(ranker: Ranker) -> dict[str, float]:
    """Say how far the probability of the first is true of simulated queries that chose nothing."""
    assert ranker.checked is not None
    table = ranker.checked
    return {
        "queries": len(table),
        "probability": float(table["probability"].mean()),
        "right": float(table["right"].mean()),
    }


def _name_of(state: str) -> str | None:
    try:
        return canonical_name(state)
    except UserError:  # a state need not be a perturbation's name: "CD4+"
        return None


def _is_learnt(ranker: Ranker, name: str, change_G: np.ndarray) -> bool:
    effects = ranker.offer.start.effects
    own_QG = effects.delta_QG[(effects.rows[PERTURBATION] == name).to_numpy()]
    size = max(float(np.linalg.norm(change_G)), 1e-12)
    return bool((np.linalg.norm(own_QG - change_G, axis=1) < _SAME * size).any())
