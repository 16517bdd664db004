"""From a query to a ranking: four ways to score candidates, the best of them chosen by resampling.

Legend: N queries, C candidates, G genes, X features.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.special import softmax

from sc_mamba2.metrics.retrieval import mean_reciprocal_rank
from sc_mamba2.pipelines.perturbation.population import affine
from sc_mamba2.pipelines.perturbation.start import Start
from sc_mamba2.pipelines.reverse_perturbation.features import compare
from sc_mamba2.pipelines.reverse_perturbation.head import RankingHead, fit_head, fit_temperature
from sc_mamba2.pipelines.reverse_perturbation.params import Method, RankParams
from sc_mamba2.pipelines.reverse_perturbation.retrieve import PredictedCells
from sc_mamba2.pipelines.reverse_perturbation.states import Query

# Of equals the first is taken: the head contains the next two.
METHODS: tuple[Method, ...] = ("head", "distance", "cosine", "retrieval")
JUDGED_BY_CELLS = 40  # queries that retrieval is judged by: each is a search over all cells
TARGET_CELLS = 30


@dataclass(frozen=True, eq=False)
class Ranker:
    """Scores candidates for any query from the same source cells.

    Attributes
    ----------
    names
        C candidates.
    told_CG
        Their changes.
    own, own_sign
        See `features.compare`.
    head
        The ranking head.
    cells
        Predicted cells of all candidates.
    method
        The way of scoring that ranked resampled training effects best.
    temperatures
        Factor from score to log-probability, by method.
    judged
        Mean reciprocal rank of every method over resampled training effects.
    """

    names: list[str]
    told_CG: np.ndarray
    own: list[list[int]]
    own_sign: float
    head: RankingHead
    cells: PredictedCells
    neighbours: int
    method: Method
    temperatures: dict[str, float]
    judged: dict[str, float]

    def scores(
        self, change_G: np.ndarray, error_G: np.ndarray, target_NG: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        """Score all candidates in every way, (C,) each; higher is nearer.

        Without target cells there is no retrieval.
        """
        found = _scores(self, change_G, error_G)
        if target_NG is not None:
            found["retrieval"] = self.cells.shares(target_NG, self.neighbours)
        return found

    def rank(self, query: Query, genes: np.ndarray, named: int) -> pd.DataFrame:
        """Rank the candidates for a query; see the docs for the columns."""
        scores = self.scores(query.change_G, query.error_G, query.target.X.toarray())
        chosen = scores[self.method]
        table = pd.DataFrame(
            {
                "perturbation": self.names,
                "score": chosen,
                "probability": softmax(self.temperatures[self.method] * chosen),
                **{name: scores[name] for name in METHODS},
                "genes": [_drivers(query.change_G, told, genes, named) for told in self.told_CG],
            }
        )
        order = np.lexsort((-scores["cosine"], -chosen))
        table = table.iloc[order].reset_index(drop=True)
        table.insert(0, "rank", np.arange(1, len(table) + 1))
        return table


def make_ranker(
    start: Start,
    names: list[str],
    told_CG: np.ndarray,
    own: list[list[int]],
    source: sparse.csr_matrix,
    rising_share: float,
    error_G: np.ndarray,
    params: RankParams,
    seed: int,
) -> Ranker:
    """Predict the candidates' cells, fit the head, and choose the method.

    Queries to learn from are the candidates' own changes, moved by `noise` standard errors: those of
    the query and of the training effects together, at a strength drawn from `weakest` to 1: guides and
    doses of another experiment may do less. Half of them fit the head, half judge the methods and
    fit the temperatures.

    Parameters
    ----------
    start
        With the measured effects and their errors.
    names, told_CG, own
        Candidates, their changes, the columns of their own genes.
    source
        Source cells, (N, G).
    rising_share
        See `population.affine`.
    error_G
        Squared standard error of what will be asked.
    params, seed
        Numbers, and the seed of all draws.
    """
    generator = np.random.default_rng(seed)
    ratio = start.own_ratio(np.ones(len(start.effects.rows), bool))
    sample_NG = _sample(source, params.cells, generator)
    cells = _predicted(sample_NG, told_CG, rising_share, params.components, seed)
    ranker = Ranker(
        names,
        told_CG,
        own,
        float(np.sign(ratio)),
        RankingHead(np.zeros(3)),
        cells,
        params.neighbours,
        "distance",
        {},
        {},
    )
    error_G = error_G + start.effects.error_QG.mean(axis=0)
    queries = _resampled(ranker, error_G, params, generator)
    half = len(queries) // 2
    features_NCX = np.stack([_features(ranker, change_G, e_G) for _, change_G, e_G in queries])
    truth_N = np.array([place for place, _, _ in queries])
    ranker = _with(ranker, head=fit_head(features_NCX[:half], truth_N[:half]))
    kept = _by_method(ranker, queries, sample_NG, rising_share, half)
    judged = {name: _judge(scores, truth_N[rows]) for name, (rows, scores) in kept.items()}
    temperatures = {
        name: fit_temperature(scores, truth_N[rows]) for name, (rows, scores) in kept.items()
    }
    best: Method = params.method or max(METHODS, key=lambda name: judged[name])
    return _with(ranker, method=best, temperatures=temperatures, judged=judged)


def _with(ranker: Ranker, **changes: object) -> Ranker:
    return Ranker(**{**ranker.__dict__, **changes})


def _features(ranker: Ranker, change_G: np.ndarray, error_G: np.ndarray) -> np.ndarray:
    return compare(change_G, error_G, ranker.told_CG, ranker.own, ranker.own_sign)


def _scores(ranker: Ranker, change_G: np.ndarray, error_G: np.ndarray) -> dict[str, np.ndarray]:
    features_CX = _features(ranker, change_G, error_G)
    head = ranker.head.scores(features_CX)
    return {"cosine": features_CX[:, 0], "distance": features_CX[:, 1], "head": head}


def _resampled(
    ranker: Ranker, error_G: np.ndarray, params: RankParams, generator: np.random.Generator
) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Draw queries: place of the right candidate, change, squared error."""
    moved_G = params.noise * np.sqrt(error_G)
    places = generator.integers(len(ranker.names), size=2 * params.queries)
    strengths = generator.uniform(params.weakest, 1, size=len(places))
    return [
        (
            int(place),
            strength * ranker.told_CG[place] + moved_G * generator.standard_normal(len(error_G)),
            params.noise**2 * error_G,
        )
        for place, strength in zip(places, strengths, strict=True)
    ]


def _by_method(
    ranker: Ranker,
    queries: list[tuple[int, np.ndarray, np.ndarray]],
    sample_NG: np.ndarray,
    rising_share: float,
    half: int,
) -> dict[str, tuple[slice, np.ndarray]]:
    """Score the judging half of the queries in every way: which queries, and (N, C)."""
    judging = queries[half:]
    told = [_scores(ranker, change_G, error_G) for _, change_G, error_G in judging]
    whole = slice(half, len(queries))
    kept = {name: (whole, np.stack([scores[name] for scores in told])) for name in told[0]}
    control_G = sample_NG.mean(axis=0)
    shares = []
    for _, change_G, _ in judging[:JUDGED_BY_CELLS]:
        scale_G, shift_G = affine(change_G, control_G, rising_share)
        cells_NG = scale_G * sample_NG[:TARGET_CELLS] + shift_G
        shares.append(ranker.cells.shares(cells_NG, ranker.neighbours))
    part = slice(half, half + len(shares))
    return kept | {"retrieval": (part, np.stack(shares))}


def _judge(scores_NC: np.ndarray, truth_N: np.ndarray) -> float:
    own_N1 = scores_NC[np.arange(len(truth_N)), truth_N][:, None]
    above_N = (scores_NC > own_N1).sum(axis=1) + ((scores_NC == own_N1).sum(axis=1) - 1) / 2
    return mean_reciprocal_rank([int(np.ceil(1 + above)) for above in above_N])


def _sample(source: sparse.csr_matrix, cells: int, generator: np.random.Generator) -> np.ndarray:
    rows = generator.permutation(source.shape[0])[:cells]
    return np.asarray(source[rows].toarray(), dtype=np.float64)


def _predicted(
    sample_NG: np.ndarray, told_CG: np.ndarray, rising_share: float, components: int, seed: int
) -> PredictedCells:
    control_G = sample_NG.mean(axis=0)
    blocks = []
    for told_G in told_CG:
        scale_G, shift_G = affine(told_G, control_G, rising_share)
        blocks.append((scale_G * sample_NG + shift_G).astype(np.float32))
    owner_M = np.repeat(np.arange(len(told_CG)), len(sample_NG))
    return PredictedCells(np.concatenate(blocks), owner_M, len(told_CG), components, seed)


def _drivers(change_G: np.ndarray, told_G: np.ndarray, genes: np.ndarray, count: int) -> str:
    """Name the genes that candidate and query change alike, strongest first, with the direction."""
    shared_G = change_G * told_G
    first = [at for at in np.argsort(-shared_G, kind="stable")[:count] if shared_G[at] > 0]
    return " ".join(f"{genes[at]}{'+' if told_G[at] > 0 else '-'}" for at in first)
