"""All scores of all pairs side by side; the table of edges, and the network of the best of them.

Legend: N cells, R regulators, T targets.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.stats import rankdata

from sc_mamba2.methods.gene_modules import as_graphml, find_modules, make_graph
from sc_mamba2.model import PretrainedModel
from sc_mamba2.tasks.gene_network.baselines import compare
from sc_mamba2.tasks.gene_network.genes import Choice
from sc_mamba2.tasks.gene_network.knockouts import KnockOuts, knock_out
from sc_mamba2.tasks.gene_network.model import cosines, untrained_like
from sc_mamba2.tasks.gene_network.params import BaselineParams, Method, NetworkParams, ScoreParams
from sc_mamba2.tasks.shared.tokenization import tokenize_cells
from sc_mamba2.tokens import TokenizedCells
from sc_mamba2.training import ComputeOptions


@dataclass(frozen=True, eq=False)
class PairScores:
    """Scores of all pairs.

    Attributes
    ----------
    choice
        The genes.
    knock_outs
        What taking the regulators away does.
    correlation_RT
        Spearman's, signed.
    by_method
        The model's scores, (R, T) each, higher is likelier an edge: ``mean_rank``, ``knock_out``,
        ``cosine``.
    baselines, ablations
        The same of what stands beside the model.
    cells
        Cells that were looked at.
    """

    choice: Choice
    knock_outs: KnockOuts
    correlation_RT: np.ndarray
    by_method: dict[str, np.ndarray]
    baselines: dict[str, np.ndarray]
    ablations: dict[str, np.ndarray]
    cells: int


def score_pairs(
    valid_cells: AnnData,
    model: PretrainedModel,
    choice: Choice,
    params: ScoreParams,
    baselines: BaselineParams,
    compute: ComputeOptions,
) -> PairScores:
    """Score all pairs in a sample of the cells, by the model and by what stands beside it."""
    sample, tokens = draw_sample(valid_cells, model, params, compute)
    pairs_RT = choice.pairs()
    x_NR, y_NT = (
        np.asarray(sample[:, ids].X.toarray(), dtype=np.float64)
        for ids in (choice.regulators, choice.targets)
    )
    knock_outs, by_method = _score_by(model, tokens, choice, params, compute)
    correlation_RT, scores = compare(x_NR, y_NT, pairs_RT, baselines, compute.seed)
    ablations: dict[str, np.ndarray] = {}
    if baselines.untrained:
        fresh = untrained_like(model, compute.seed)
        _, untrained = _score_by(fresh, tokens, choice, params, compute)
        scores["untrained cosine"] = untrained["cosine"]
        ablations["untrained knock_out"] = untrained["knock_out"]
    return PairScores(
        choice, knock_outs, correlation_RT, by_method, scores, ablations, sample.n_obs
    )


def draw_sample(
    cells: AnnData, model: PretrainedModel, params: ScoreParams, compute: ComputeOptions
) -> tuple[AnnData, TokenizedCells]:
    """Draw the cells that are looked at; also as tokens."""
    drawn = np.random.default_rng(compute.seed).permutation(cells.n_obs)[: params.cells]
    sample = cells[np.sort(drawn)]
    return sample, tokenize_cells(sample, model.tokenizer, with_obs=False)


def _score_by(
    model: PretrainedModel,
    tokens: TokenizedCells,
    choice: Choice,
    params: ScoreParams,
    compute: ComputeOptions,
) -> tuple[KnockOuts, dict[str, np.ndarray]]:
    """Score all pairs by a model, as `PairScores.by_method`."""
    vocabulary = model.tokenizer.vocabulary
    rows = vocabulary.rows_of(choice.regulators), vocabulary.rows_of(choice.targets)
    size = params.cells_a_regulator, params.batch_size
    knock_outs = knock_out(model, tokens, *rows, *size, compute.device)
    parts = {"knock_out": np.abs(knock_outs.specific_RT), "cosine": cosines(model, *rows)}
    return knock_outs, {"mean_rank": mean_rank(list(parts.values()), choice.pairs())} | parts


def mean_rank(parts: list[np.ndarray], pairs_RT: np.ndarray) -> np.ndarray:
    """Return the mean over scores of each pair's rank, (R, T), 0 (worst) to 1 (best).

    Ranks are over all pairs of two genes; a gene with itself gets 0.
    """
    count = int(pairs_RT.sum())
    mean_RT = np.zeros(pairs_RT.shape)
    ranks = [rankdata(part[pairs_RT]) for part in parts]
    mean_RT[pairs_RT] = (np.mean(ranks, axis=0) - 1) / max(1, count - 1)
    return mean_RT


def make_network(
    scores: PairScores, scoring: ScoreParams, params: NetworkParams, compute: ComputeOptions
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """List the best edges, and make a graph of the very best.

    Returns
    -------
    edges
        See `edge_table`.
    modules
        See `find_modules`.
    network
        The graph as GraphML.
    """
    drawn = edge_table(scores, scoring.method, params.drawn)
    modules = find_modules(drawn, params.resolution, compute.seed)
    edges = edge_table(scores, scoring.method, params.edges)
    return edges, modules, as_graphml(make_graph(drawn, modules))


def edge_table(scores: PairScores, method: Method, most: int) -> pd.DataFrame:
    """Return the best pairs, best first.

    Returns
    -------
    DataFrame
        ``source``, ``target`` (symbols), ``source_id``, ``target_id``, ``score``, ``sign`` (1 where the
        regulator raises the target more than others do, -1 less), ``knock_out_effect`` (bins),
        ``specific_effect``, ``cosine``, ``correlation``, ``rank`` from 1.
    """
    choice, chosen_RT = scores.choice, scores.by_method[method]
    row, column = np.nonzero(choice.pairs())
    order = np.argsort(-chosen_RT[row, column], kind="stable")[:most]
    row, column = row[order], column[order]
    knock_outs = scores.knock_outs
    return pd.DataFrame(
        {
            "source": choice.regulator_symbols[row],
            "target": choice.target_symbols[column],
            "source_id": choice.regulators[row],
            "target_id": choice.targets[column],
            "score": chosen_RT[row, column],
            "sign": np.sign(knock_outs.specific_RT[row, column]).astype(int),
            "knock_out_effect": knock_outs.effect_RT[row, column],
            "specific_effect": knock_outs.specific_RT[row, column],
            "cosine": scores.by_method["cosine"][row, column],
            "correlation": scores.correlation_RT[row, column],
            "rank": np.arange(1, len(order) + 1),
        }
    )
