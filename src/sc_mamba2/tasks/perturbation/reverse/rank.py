"""From a query to a ranking: four ways to score candidates, the best of them chosen by simulation.

Legend: N queries, C candidates, G genes, X features, S and T source cells.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.special import softmax
from scipy.stats import rankdata

from sc_mamba2.methods.mean_changes import moments
from sc_mamba2.metrics.retrieval import mean_reciprocal_rank, tied_rank
from sc_mamba2.tasks.perturbation.reverse.baselines import baseline_scores
from sc_mamba2.tasks.perturbation.reverse.candidates import Offer
from sc_mamba2.tasks.perturbation.reverse.features import compare
from sc_mamba2.tasks.perturbation.reverse.head import RankingHead, fit_head, fit_temperature
from sc_mamba2.tasks.perturbation.reverse.params import Method, RankParams
from sc_mamba2.tasks.perturbation.reverse.retrieval import PredictedCells
from sc_mamba2.tasks.perturbation.reverse.simulated_queries import Trials, Worlds, predict_cells
from sc_mamba2.tasks.perturbation.reverse.states import Query
from sc_mamba2.tasks.perturbation.split import PERTURBATION

# Of equals the first is taken: the head contains the next two. Retrieval, the last, is slow.
METHODS: tuple[Method, ...] = ("head", "distance", "cosine", "retrieval")


@dataclass(frozen=True, eq=False)
class Ranker:
    """Scores candidates for any query from the same source cells.

    Attributes
    ----------
    offer
        The candidates.
    told_CG
        Their changes.
    head
        The ranking head.
    cells
        Predicted cells of all candidates.
    params
        Numbers.
    method
        The way of scoring that ranked simulated queries best, or the one that was asked for.
    temperatures
        Factor from score to log-probability, by method.
    judged
        Mean reciprocal rank of every method over simulated queries.
    checked
        Of simulated queries that chose nothing: probability of the first, whether it was right.
    """

    offer: Offer
    told_CG: np.ndarray
    head: RankingHead
    cells: PredictedCells
    params: RankParams
    method: Method = "head"
    temperatures: dict[str, float] | None = None
    judged: dict[str, float] | None = None
    checked: pd.DataFrame | None = None

    def scores(self, query: Query) -> dict[str, np.ndarray]:
        """Score all candidates in every way, (C,) each; higher is nearer."""
        features_CX = compare(
            query.change_G,
            query.error_G,
            self.told_CG,
            self.offer.own,
            self.offer.own_sign,
            self.params.own_gene_most,
        )
        shares_C = self.cells.shares(query.target.X.toarray(), self.params.neighbours)
        return _by_features(self.head, features_CX) | {"retrieval": shares_C}

    def rank(self, query: Query, genes: np.ndarray) -> pd.DataFrame:
        """Rank the candidates for a query; see the docs for the columns.

        Parameters
        ----------
        query
            Over the model's genes.
        genes
            (G,) their symbols.
        """
        assert self.temperatures is not None
        offer, scores = self.offer, self.scores(query)
        chosen = scores[self.method]
        seen = set(offer.start.effects.rows[PERTURBATION])
        simple = baseline_scores(query, offer)
        table = pd.DataFrame(
            {
                "perturbation": offer.names,
                "seen": [name in seen for name in offer.names],
                "score": chosen,
                "probability": softmax(self.temperatures[self.method] * chosen),
                **{name: scores[name] for name in METHODS},
                **{f"rank_{name}": _places(own).astype(int) for name, own in simple.items()},
                "genes": [
                    _drivers(query.change_G, told_G, genes, self.params.genes)
                    for told_G in self.told_CG
                ],
            }
        )
        order = np.lexsort((-scores["cosine"], -chosen))
        table = table.iloc[order].reset_index(drop=True)
        table.insert(0, "rank", np.arange(1, len(table) + 1))
        return table


def make_ranker(
    offer: Offer,
    source: sparse.csr_matrix,
    error_G: np.ndarray,
    params: RankParams,
    seed: int,
) -> Ranker:
    """Predict the candidates' cells, fit the head, choose the method, and check its probability.

    Each of the last three has simulated queries of its own; see `worlds`.

    Parameters
    ----------
    offer
        The candidates.
    source
        Source cells, (N, G).
    error_G
        Squared standard error of what will be asked.
    params, seed
        Numbers, and the seed of all draws.
    """
    generator = np.random.default_rng(seed)
    source_SG, others_TG = _two_samples(source, params, generator)
    control_G, _ = moments(source)
    told_CG = offer.told_by(offer.start, control_G)
    cells = predict_cells(source_SG, told_CG, offer.decoding, params)
    worlds = Worlds(offer, source_SG, others_TG, control_G, error_G, params, generator)
    fitted, judging = worlds.trials(0), worlds.trials(params.searched)
    head = fit_head(fitted.features_NCX, fitted.truth_N, params.decay)
    scored = _by_method(head, judging)
    judged = {name: _judge(own, judging.truth_N) for name, own in scored.items()}
    temperatures = {
        name: fit_temperature(own, judging.truth_N[: len(own)]) for name, own in scored.items()
    }
    best = params.method or _best(scored, judged, judging.truth_N)
    checking = worlds.trials(params.searched if best == "retrieval" else 0)
    checked = _check(_by_method(head, checking)[best], checking.truth_N, temperatures[best])
    ranker = Ranker(offer, told_CG, head, cells, params, best)
    return replace(ranker, temperatures=temperatures, judged=judged, checked=checked)


def _two_samples(
    source: sparse.csr_matrix, params: RankParams, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw source cells to predict from, and others; of few cells each is half."""
    rows = generator.permutation(source.shape[0])
    count = min(params.cells, (len(rows) + 1) // 2)
    taken = rows[:count], rows[count : count + params.target_cells]
    first, second = (np.asarray(source[part].toarray(), dtype=np.float64) for part in taken)
    return first, second


def _by_features(head: RankingHead, features: np.ndarray) -> dict[str, np.ndarray]:
    """Score by what needs no cells; of one query (C,), of several (N, C)."""
    return {
        "head": head.scores(features),
        "distance": features[..., 1],
        "cosine": features[..., 0],
    }


def _by_method(head: RankingHead, trials: Trials) -> dict[str, np.ndarray]:
    """Score queries in every way, (N, C); by retrieval the first of them."""
    scored = _by_features(head, trials.features_NCX)
    return scored | {"retrieval": trials.shares_MC} if len(trials.shares_MC) else scored


def _best(scored: dict[str, np.ndarray], judged: dict[str, float], truth_N: np.ndarray) -> Method:
    """Choose the method; retrieval where it beats the best of the others on the queries it answered."""
    *others, last = METHODS
    best = max(others, key=lambda name: judged[name])
    return last if judged[last] > _judge(scored[best][: len(scored[last])], truth_N) else best


def _judge(scores_NC: np.ndarray, truth_N: np.ndarray) -> float:
    return mean_reciprocal_rank(
        [tied_rank(scores_C, at) for scores_C, at in zip(scores_NC, truth_N, strict=False)]
    )


def _check(scores_NC: np.ndarray, truth_N: np.ndarray, temperature: float) -> pd.DataFrame:
    told_NC = softmax(temperature * scores_NC, axis=1)
    right_N = told_NC.argmax(axis=1) == truth_N[: len(told_NC)]
    return pd.DataFrame({"probability": told_NC.max(axis=1), "right": right_N})


def _places(scores_C: np.ndarray) -> np.ndarray:
    """Return the rank of every candidate, from 1; equals share the best."""
    return rankdata(-scores_C, method="min")


def _drivers(change_G: np.ndarray, told_G: np.ndarray, genes: np.ndarray, count: int) -> str:
    """Name the genes that candidate and query change alike, strongest first, with the direction."""
    shared_G = change_G * told_G
    first = [at for at in np.argsort(-shared_G, kind="stable")[:count] if shared_G[at] > 0]
    return " ".join(f"{genes[at]}{'+' if told_G[at] > 0 else '-'}" for at in first)
