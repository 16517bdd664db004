"""All scores of all pairs, the table of edges, and the network of the top edges.

Legend: N cells, R regulators, T targets.
"""

import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData

from sc_mamba2.methods.gene_modules import as_graphml, find_modules, make_graph
from sc_mamba2.model import PretrainedModel
from sc_mamba2.tasks.gene_network.baselines import compare
from sc_mamba2.tasks.gene_network.genes import Choice
from sc_mamba2.tasks.gene_network.knockouts import KnockOuts, knock_out, knock_out_work
from sc_mamba2.tasks.gene_network.model import cosines, untrained_like
from sc_mamba2.tasks.gene_network.params import BaselineParams, Method, NetworkParams, ScoreParams
from sc_mamba2.tasks.shared.messages import NOTE, duration
from sc_mamba2.tasks.shared.tokenization import tokenize_cells
from sc_mamba2.tokens import TokenizedCells
from sc_mamba2.training import ComputeOptions

SIMPLE = ("correlation", "pearson", "boosting")
_CELLS, _MODEL = ("correlation", "pearson"), ("cosine", "knock_out")
_VOTERS = ("correlation", "boosting", *_MODEL)
_BEST_SHARE = 0.05
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class PairScores:
    """Scores of all pairs.

    Attributes
    ----------
    choice
        The genes.
    knock_outs
        Effects of knocking out the regulators, if requested.
    by_method
        Scores that can rank edges, (R, T) each, higher is a likelier edge: ``consensus``,
        ``correlation``, ``pearson``, ``boosting``, ``cosine``, and ``knock_out`` if requested.
    baselines, ablations
        The same for baselines and ablations.
    agreement_RT
        See `agreement`.
    cells
        Number of cells used.
    """

    choice: Choice
    knock_outs: KnockOuts | None
    by_method: dict[str, np.ndarray]
    baselines: dict[str, np.ndarray]
    ablations: dict[str, np.ndarray]
    agreement_RT: np.ndarray
    cells: int


def score_pairs(
    valid_cells: AnnData,
    model: PretrainedModel,
    choice: Choice,
    params: ScoreParams,
    baselines: BaselineParams,
    compute: ComputeOptions,
) -> PairScores:
    """Score all pairs in a sample of the cells, by simple methods and by the model.

    The estimated time of the knock-outs is logged first.
    """
    sample = draw_sample(valid_cells, params, compute)
    models = [model, untrained_like(model, compute.seed)] if baselines.untrained else [model]
    tokens = short_tokens(sample, model, choice) if params.takes_away else None
    if tokens is not None:
        _log_duration(models, tokens, choice, params, compute)
    pairs_RT = choice.pairs()
    x_NR, y_NT = (
        np.asarray(sample[:, ids].X.toarray(), dtype=np.float64)
        for ids in (choice.regulators, choice.targets)
    )
    simple = compare(x_NR, y_NT, pairs_RT, baselines, compute.seed)
    others = {"correlation, size": np.abs(simple["correlation"])}
    others |= {name: simple.pop(name) for name in simple.keys() - set(SIMPLE)}
    (knock_outs, own), *untrained = (
        _score_by(one, tokens, choice, params, compute) for one in models
    )
    by_method = simple | own

    def mean_of(*names: str) -> np.ndarray:
        return consensus([by_method[name] for name in names if name in by_method], pairs_RT)

    ablations = {"consensus without the model": mean_of(*_CELLS)}
    if knock_outs is not None:
        ablations["consensus without knock-outs"] = mean_of(*_CELLS, "cosine")
    for _, parts in untrained:
        ablations |= {f"untrained {name}": part for name, part in parts.items()}
    voters = [by_method[name] for name in _VOTERS if name in by_method]
    return PairScores(
        choice,
        knock_outs,
        {"consensus": mean_of(*_CELLS, *_MODEL)} | by_method,
        others,
        ablations,
        agreement(voters, pairs_RT),
        sample.n_obs,
    )


def draw_sample(cells: AnnData, params: ScoreParams, compute: ComputeOptions) -> AnnData:
    """Sample the cells to use."""
    drawn = np.random.default_rng(compute.seed).permutation(cells.n_obs)[: params.cells]
    return cells[np.sort(drawn)]


def short_tokens(sample: AnnData, model: PretrainedModel, choice: Choice) -> TokenizedCells:
    """Return tokens of regulators and targets only: a fifth of the genes, and of the time."""
    tokens = tokenize_cells(sample, model.tokenizer, with_obs=False)
    genes = np.union1d(choice.regulators, choice.targets)
    return tokens.keep(np.isin(tokens.gene_rows, model.tokenizer.vocabulary.rows_of(genes)))


def _log_duration(
    models: list[PretrainedModel],
    tokens: TokenizedCells,
    choice: Choice,
    params: ScoreParams,
    compute: ComputeOptions,
) -> None:
    """Log how long the knock-outs take, and how to skip them."""
    work = knock_out_work(
        models[0], tokens, *rows_of(models[0], choice), *_size(params), compute.device, len(models)
    )
    _log.log(
        NOTE,
        "about %s for knock-outs of %d regulators, %s cells and %s targets; "
        "--params gene_network.scoring.knock_outs=false skips them",
        duration(max(1.0, work.seconds or 0)),
        len(choice.regulators),
        f"{len(tokens):,}",
        f"{len(choice.targets):,}",
    )


def rows_of(model: PretrainedModel, choice: Choice) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of regulators and targets in a model's vocabulary."""
    vocabulary = model.tokenizer.vocabulary
    return vocabulary.rows_of(choice.regulators), vocabulary.rows_of(choice.targets)


def _size(params: ScoreParams) -> tuple[int, int]:
    return params.cells_a_regulator, params.batch_size


def _score_by(
    model: PretrainedModel,
    tokens: TokenizedCells | None,
    choice: Choice,
    params: ScoreParams,
    compute: ComputeOptions,
) -> tuple[KnockOuts | None, dict[str, np.ndarray]]:
    """Score all pairs by a model: cosine of the embeddings, and knock-outs in some cells."""
    rows = rows_of(model, choice)
    scores = {"cosine": cosines(model, *rows)}
    if tokens is None:
        return None, scores
    knock_outs = knock_out(model, tokens, *rows, *_size(params), compute.device)
    return knock_outs, scores | {"knock_out": np.abs(knock_outs.specific_RT)}


def consensus(parts: list[np.ndarray], pairs_RT: np.ndarray) -> np.ndarray:
    """Return the mean of the scores, each standardised per regulator, (R, T).

    Each score is scaled to mean 0 and standard deviation 1 over the targets of a regulator, so that a
    regulator that correlates with everything, like depth or a cell type, gains nothing. A gene with
    itself gets 0.
    """
    standard = []
    for part in parts:
        own_RT = np.where(pairs_RT, part, np.nan)
        centred_RT = own_RT - np.nanmean(own_RT, axis=1, keepdims=True)
        spread_R1 = np.nanstd(own_RT, axis=1, keepdims=True)
        standard.append(
            np.divide(centred_RT, spread_R1, out=np.zeros_like(own_RT), where=spread_R1 > 1e-12)
        )
    mean_RT: np.ndarray = np.where(pairs_RT, np.mean(standard, axis=0), 0.0)
    return mean_RT


def agreement(parts: list[np.ndarray], pairs_RT: np.ndarray) -> np.ndarray:
    """Count the scores that rank a pair among the top 5 % of its regulator, (R, T) int.

    Ties with the last of them count too; a pair at or below the regulator's median never counts.
    """
    votes_RT = np.zeros(pairs_RT.shape, dtype=np.int64)
    for part in parts:
        own_RT = np.where(pairs_RT, part, np.nan)
        least_R1 = np.nanquantile(own_RT, 1 - _BEST_SHARE, axis=1, keepdims=True)
        votes_RT += (own_RT >= least_R1) & (own_RT > np.nanmedian(own_RT, axis=1, keepdims=True))
    return votes_RT


def make_network(
    scores: PairScores, scoring: ScoreParams, params: NetworkParams, compute: ComputeOptions
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Return the table of the best edges, and a graph of the top ones.

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
        ``source``, ``target`` (symbols), ``source_id``, ``target_id``, ``score``, ``rank`` from 1,
        ``agreement`` (see `agreement`), ``sign`` of the correlation, then every method's own score:
        ``correlation`` (Spearman's), ``pearson``, ``boosting`` (share of variance), ``cosine``; with
        knock-outs ``knock_out_effect`` (bins or log rates) and ``specific_effect``.
    """
    choice, chosen_RT = scores.choice, scores.by_method[method]
    row, column = np.nonzero(choice.pairs())
    order = np.argsort(-chosen_RT[row, column], kind="stable")[:most]
    row, column = row[order], column[order]
    evidence = {name: scores.by_method[name] for name in (*SIMPLE, "cosine")}
    if scores.knock_outs is not None:
        evidence["knock_out_effect"] = scores.knock_outs.effect_RT
        evidence["specific_effect"] = scores.knock_outs.specific_RT
    return pd.DataFrame(
        {
            "source": choice.regulator_symbols[row],
            "target": choice.target_symbols[column],
            "source_id": choice.regulators[row],
            "target_id": choice.targets[column],
            "score": chosen_RT[row, column],
            "rank": np.arange(1, len(order) + 1),
            "agreement": scores.agreement_RT[row, column],
            "sign": np.sign(evidence["correlation"][row, column]).astype(int),
        }
        | {name: values[row, column] for name, values in evidence.items()}
    )
