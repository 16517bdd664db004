"""All scores of all pairs side by side, and the table of edges.

Legend: R regulators, T targets.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from sc_mamba2.tasks.gene_network.genes import Choice
from sc_mamba2.tasks.gene_network.knockouts import KnockOuts
from sc_mamba2.tasks.gene_network.params import Method

METHODS: tuple[Method, ...] = ("mean_rank", "knock_out", "cosine")


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
        The model's scores, (R, T) each, higher is likelier an edge: `METHODS`.
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


def mean_rank(parts: list[np.ndarray], pairs_RT: np.ndarray) -> np.ndarray:
    """Return the mean over scores of each pair's rank, (R, T), 0 (worst) to 1 (best).

    Ranks are over all pairs of two genes; a gene with itself gets 0.
    """
    count = int(pairs_RT.sum())
    found_RT = np.zeros(pairs_RT.shape)
    ranks = [rankdata(part[pairs_RT]) for part in parts]
    found_RT[pairs_RT] = (np.mean(ranks, axis=0) - 1) / max(1, count - 1)
    return found_RT


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
    found = scores.knock_outs
    return pd.DataFrame(
        {
            "source": choice.regulator_symbols[row],
            "target": choice.target_symbols[column],
            "source_id": choice.regulators[row],
            "target_id": choice.targets[column],
            "score": chosen_RT[row, column],
            "sign": np.sign(found.specific_RT[row, column]).astype(int),
            "knock_out_effect": found.effect_RT[row, column],
            "specific_effect": found.specific_RT[row, column],
            "cosine": scores.by_method["cosine"][row, column],
            "correlation": scores.correlation_RT[row, column],
            "rank": np.arange(1, len(order) + 1),
        }
    )
