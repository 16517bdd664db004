"""Rank candidates for a query by one of four scores; the best score is chosen by simulation.

Legend: N queries, C candidates, G genes, X features, S and T source cells.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from scipy.special import softmax
from scipy.stats import rankdata

from sc_mamba2.cells import parts_of
from sc_mamba2.methods.mean_changes import moments
from sc_mamba2.methods.ranking_head import fit_factor, fit_ranking_head
from sc_mamba2.methods.retrieval import NeighbourVotes
from sc_mamba2.metrics.retrieval import mean_reciprocal_rank, tied_rank
from sc_mamba2.tasks.perturbation.features import own_columns
from sc_mamba2.tasks.perturbation.model import PerturbationModel
from sc_mamba2.tasks.perturbation.reading import ONE_CONTEXT
from sc_mamba2.tasks.perturbation.reverse.candidates import Candidates, read_candidates
from sc_mamba2.tasks.perturbation.reverse.comparisons import baseline_scores, compare
from sc_mamba2.tasks.perturbation.reverse.params import (
    CandidateParams,
    Method,
    RankParams,
    StateParams,
)
from sc_mamba2.tasks.perturbation.reverse.simulated_queries import (
    SimulatedQueries,
    Trials,
    predict_cells,
)
from sc_mamba2.tasks.perturbation.reverse.states import Query, read_query
from sc_mamba2.tasks.perturbation.split import PERTURBATION
from sc_mamba2.training import ComputeOptions

# Ties go to the first: the head contains the next two; retrieval, the last, is slow.
METHODS: tuple[Method, ...] = ("head", "distance", "cosine", "retrieval")


@dataclass(frozen=True, eq=False)
class Ranker:
    """Scores candidates for any query from the same source cells.

    Attributes
    ----------
    changes_CG
        Predicted changes of the candidates.
    head_X
        Weights of the ranking head.
    votes
        Predicted cells of all candidates.
    method
        The score that ranked simulated queries best, or the user's choice.
    factors
        Factor from score to log-probability, by method.
    simulated
        Mean reciprocal rank on simulated queries, by method.
    checked
        On held-out simulated queries: probability of the first candidate, and whether it was right.
    """

    candidates: Candidates
    changes_CG: np.ndarray
    head_X: np.ndarray
    votes: NeighbourVotes
    params: RankParams
    method: Method = "head"
    factors: dict[str, float] = field(default_factory=dict)
    simulated: dict[str, float] = field(default_factory=dict)
    checked: pd.DataFrame = field(default_factory=pd.DataFrame)

    def scores(self, query: Query) -> dict[str, np.ndarray]:
        """Score all candidates by every method, (C,) each; higher is better."""
        most = self.params.own_gene_most
        features_CX = compare(query.change_G, query.error_G, self.changes_CG, self.candidates, most)
        shares_C = self.votes.shares(query.target.X.toarray())
        return _by_features(self.head_X, features_CX) | {"retrieval": shares_C}


def prepare(
    valid_cells: AnnData,
    model: PerturbationModel,
    states: StateParams,
    candidates: CandidateParams,
    listed: Iterable[str] | None = None,
) -> tuple[Query, list[str]]:
    """Read source and target cells over the model's genes, and list the candidates."""
    query = read_query(valid_cells, states, model.prior.effects.genes, model.keys)
    return query, read_candidates(model, candidates, listed)


def fit_ranker(
    model: PerturbationModel,
    candidates: list[str],
    query: Query,
    params: RankParams,
    compute: ComputeOptions,
) -> Ranker:
    """Predict every candidate from the source cells, and fit a ranker; see `make_ranker`."""
    prior = model.with_names(*candidates).prior
    whole = prior.effects.whole
    parts = {name: parts_of(name, whole) for name in candidates}
    every = {part for some in parts.values() for part in some}
    columns = own_columns(every, prior.effects.genes, model.keys)
    own = [[columns[part] for part in parts[name] if part in columns] for name in candidates]
    all_of_them = Candidates(candidates, own, prior, ONE_CONTEXT, model.decoding, model.keys)
    return make_ranker(all_of_them, query.source.X, query.error_G, params, compute.seed)


def make_ranker(
    candidates: Candidates,
    source: sparse.csr_matrix,
    error_G: np.ndarray,
    params: RankParams,
    seed: int,
) -> Ranker:
    """Predict the candidates' cells, fit the head, choose the method, and check its probability.

    Each of the last three uses its own simulated queries; see `SimulatedQueries`.

    Parameters
    ----------
    source
        Source cells, (N, G).
    error_G
        Squared standard error of the query's change.
    """
    generator = np.random.default_rng(seed)
    source_SG, others_TG = _two_samples(source, params, generator)
    control_G, _ = moments(source)
    changes_CG = candidates.changes(candidates.prior, control_G)
    votes = predict_cells(source_SG, changes_CG, candidates.decoding, params)
    queries = SimulatedQueries(
        candidates, source_SG, others_TG, control_G, error_G, params, generator
    )
    fitting, choosing = queries.trials(0), queries.trials(params.searched)
    head_X = fit_ranking_head(fitting.features_NCX, fitting.truth_N, params.decay)
    scored = _by_method(head_X, choosing)
    simulated = {name: _reciprocal_rank(own, choosing.truth_N) for name, own in scored.items()}
    factors = {name: fit_factor(own, choosing.truth_N[: len(own)]) for name, own in scored.items()}
    method = params.method or _best(scored, simulated, choosing.truth_N)
    checking = queries.trials(params.searched if method == "retrieval" else 0)
    own_NC = _by_method(head_X, checking)[method]
    checked = _check(own_NC, checking.truth_N, factors[method])
    return Ranker(
        candidates, changes_CG, head_X, votes, params, method, factors, simulated, checked
    )


def rank_candidates(ranker: Ranker, query: Query) -> pd.DataFrame:
    """Rank the candidates for a query, one row each; see the docs for the columns."""
    candidates, scores = ranker.candidates, ranker.scores(query)
    chosen = scores[ranker.method]
    seen = set(candidates.prior.effects.rows[PERTURBATION])
    columns: dict[str, Any] = {
        "perturbation": candidates.names,
        "seen": [name in seen for name in candidates.names],
        "score": chosen,
        "probability": softmax(ranker.factors[ranker.method] * chosen),
        **{name: scores[name] for name in METHODS},
    }
    for name, own in baseline_scores(query, candidates).items():
        # From 1; ties share the best rank.
        columns[f"rank_{name}"] = rankdata(-own, method="min").astype(int)
    columns["genes"] = [
        _drivers(query.change_G, change_G, query.symbols, ranker.params.genes)
        for change_G in ranker.changes_CG
    ]
    table = pd.DataFrame(columns)
    table = table.iloc[np.lexsort((-scores["cosine"], -chosen))].reset_index(drop=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def _two_samples(
    source: sparse.csr_matrix, params: RankParams, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw source cells to predict from, and others; if cells are few, half each."""
    rows = generator.permutation(source.shape[0])
    count = min(params.cells, (len(rows) + 1) // 2)
    taken = rows[:count], rows[count : count + params.target_cells]
    first, second = (np.asarray(source[part].toarray(), dtype=np.float64) for part in taken)
    return first, second


def _by_features(head_X: np.ndarray, features: np.ndarray) -> dict[str, np.ndarray]:
    """Score by the methods that need no cells: (C,) for one query, (N, C) for several."""
    return {"head": features @ head_X, "distance": features[..., 1], "cosine": features[..., 0]}


def _by_method(head_X: np.ndarray, trials: Trials) -> dict[str, np.ndarray]:
    """Score queries by every method, (N, C); retrieval scores only the first M."""
    scored = _by_features(head_X, trials.features_NCX)
    return scored | {"retrieval": trials.shares_MC} if len(trials.shares_MC) else scored


def _best(
    scored: dict[str, np.ndarray], simulated: dict[str, float], truth_N: np.ndarray
) -> Method:
    """Choose the best method; retrieval only if it beats the others on the queries it answered."""
    *others, last = METHODS
    best = max(others, key=lambda name: simulated[name])
    rest = _reciprocal_rank(scored[best][: len(scored[last])], truth_N)
    return last if simulated[last] > rest else best


def _reciprocal_rank(scores_NC: np.ndarray, truth_N: np.ndarray) -> float:
    return mean_reciprocal_rank(
        [tied_rank(scores_C, at) for scores_C, at in zip(scores_NC, truth_N, strict=False)]
    )


def _check(scores_NC: np.ndarray, truth_N: np.ndarray, factor: float) -> pd.DataFrame:
    probability_NC = softmax(factor * scores_NC, axis=1)
    right_N = probability_NC.argmax(axis=1) == truth_N[: len(probability_NC)]
    return pd.DataFrame({"probability": probability_NC.max(axis=1), "right": right_N})


def _drivers(change_G: np.ndarray, predicted_G: np.ndarray, genes: np.ndarray, count: int) -> str:
    """Name the genes that candidate and query change in the same direction, strongest first."""
    shared_G = change_G * predicted_G
    first = [at for at in np.argsort(-shared_G, kind="stable")[:count] if shared_G[at] > 0]
    return " ".join(f"{genes[at]}{'+' if predicted_G[at] > 0 else '-'}" for at in first)
