"""Report of a ranking: top candidates, how far to trust them, scores on known states."""

from typing import Any

import pandas as pd

from sc_mamba2.reporting import (
    Section,
    Table,
    baseline_sentences,
    draw_pictures,
    pictures_section,
    read_section,
    score_table,
    scores_by_method,
    task_report,
)
from sc_mamba2.tasks.perturbation.reverse.figures import PICTURES
from sc_mamba2.tasks.perturbation.reverse.rank import Ranker
from sc_mamba2.tasks.perturbation.reverse.states import Query
from sc_mamba2.tasks.perturbation.reverse.summary import HARDLY
from sc_mamba2.tasks.shared.parameters import flat_parameters

_SHOWN_CANDIDATES, _SHOWN_STATES = 200, 200
_CAPTION = (
    "The same states and candidates. hits@k: share of the states whose right candidate is among the "
    "first k; mrr: mean of 1 / rank. Ties share a rank."
)


def report(
    metrics: dict[str, Any],
    ranking: pd.DataFrame,
    ranker: Ranker,
    query: Query,
    parameters: dict[str, Any],
) -> tuple[dict[str, bytes], str]:
    """Draw the figures and write the report: PNG bytes by name, and one HTML page."""
    figures = draw_pictures(
        PICTURES,
        ranking=ranking,
        ranker=ranker,
        query=query,
        checked=ranker.checked,
        known=metrics["data"]["known"] or None,
    )
    groups = ("ingestion", "validation", "reverse_perturbation", "compute")
    return figures, ranking_report(metrics, ranking, figures, flat_parameters(parameters, groups))


def ranking_report(
    metrics: dict[str, Any],
    ranking: pd.DataFrame,
    figures: dict[str, bytes],
    parameters: dict[str, Any],
) -> str:
    """Return the report as one HTML page; `figures` are PNG bytes, `parameters` flat, both by name."""
    data, run = metrics["data"], metrics["run"]
    sections = [
        Section(
            "Which perturbation reaches the target", _answer(ranking), [_ranking_table(ranking)]
        ),
        Section("How far to trust it", _trust(data, ranking), [_method_table(data)]),
        Section("How well known states are found", verdict(metrics), _known(metrics)),
        pictures_section(figures, PICTURES),
        read_section(data["reference"]),
    ]
    return task_report(
        "Reverse perturbation", metrics.get("summary", ()), sections, parameters, run
    )


def verdict(metrics: dict[str, Any]) -> list[str]:
    """Summarise which method finds the known states best, and whether the scores can be trusted."""
    if not metrics["model"]:
        return [
            "No state of the file has the name of a candidate, so the ranking cannot be scored on these "
            "cells."
        ]
    known, model = metrics["data"]["known"], metrics["model"]
    words = []
    learnt = sum(one["learnt"] for one in known)
    if learnt:
        words.append(
            f"For {learnt:,} of the {len(known):,} states, the checkpoint was trained on these very cells: the "
            "scores are TOO OPTIMISTIC, above all for the pseudobulk neighbour. Use other cells."
        )
    words += baseline_sentences(metrics)
    for name, scores in metrics["ablations"].items():
        change = model["mrr"] - scores["mrr"]
        words.append(f"{name}: mrr {scores['mrr']:.3f} ({change:+.3f} for the chosen method).")
    return words


def _answer(ranking: pd.DataFrame) -> list[str]:
    first = ranking.iloc[0]
    seen = (
        "measured in the training"
        if first["seen"]
        else "never measured: estimated from similar ones"
    )
    words = [
        f"First of {len(ranking):,}: {first['perturbation']} ({seen}), probability "
        f"{first['probability']:.2f}, cosine {first['cosine']:.2f}."
    ]
    for name in ("pseudobulk_neighbour", "differential_expression"):
        own = ranking["perturbation"].iloc[int(ranking[f"rank_{name}"].argmin())]
        agrees = "the same" if own == first["perturbation"] else own
        words.append(f"The baseline {name.replace('_', ' ')} ranks {agrees} first.")
    return words


def _ranking_table(ranking: pd.DataFrame) -> Table:
    numbers = ["score", "probability", "cosine"]
    rows = []
    for _, line in ranking.head(_SHOWN_CANDIDATES).iterrows():
        genes = "" if pd.isna(line["genes"]) else str(line["genes"])
        ranks = [
            line["rank"],
            line["rank_pseudobulk_neighbour"],
            line["rank_differential_expression"],
        ]
        own = [str(line["perturbation"]), "yes" if line["seen"] else "no"]
        rows.append(
            [str(ranks[0]), *own, *(f"{line[n]:.3f}" for n in numbers), *map(str, ranks[1:]), genes]
        )
    header = ["rank", "perturbation", "measured", *numbers, "rank by pseudobulk neighbour"]
    caption = (
        "Genes: those that candidate and target change in the same direction, strongest first, up (+) or "
        "down (-). The CSV file has all candidates."
    )
    return Table([*header, "rank by differential expression", "genes that drive it"], rows, caption)


def _trust(data: dict[str, Any], ranking: pd.DataFrame) -> list[str]:
    own, simulated = data["calibration"], data["simulated_reciprocal_rank"]
    words = [
        f"The candidates are ordered by '{data['method']}', "
        + (
            "which ranks simulated queries best."
            if simulated[data["method"]] == max(simulated.values())
            else "as set by reverse_perturbation.rank.method, though another ranks simulated queries better."
        ),
        f"In {own['queries']:,} simulated queries not used for this choice, the first candidate has a mean "
        f"probability of {own['probability']:.2f} and is correct in {own['right']:.2f}. Real cells differ in "
        "more ways, so expect probabilities to be overconfident.",
    ]
    if ranking["cosine"][0] < HARDLY:
        words.append(
            f"The first candidate's change has a cosine of {ranking['cosine'][0]:.2f} with the change to the "
            "target: NO candidate explains this target, and the first is hardly better than chance."
        )
    return words


def _method_table(data: dict[str, Any]) -> Table:
    simulated = data["simulated_reciprocal_rank"]
    rows = [[name, f"{score:.3f}"] for name, score in simulated.items()]
    best = frozenset([list(simulated).index(data["method"])])
    caption = (
        "Simulated queries: the training measured again, with true effects drawn from their estimated "
        "distribution. The marked method orders the candidates."
    )
    return Table(["method", "mean reciprocal rank"], rows, caption, best)


def _known(metrics: dict[str, Any]) -> list[Table]:
    if not metrics["model"]:
        return []
    scores = score_table(scores_by_method(metrics), list(metrics["model"]), _CAPTION, "mrr")
    methods = ["model", *(name for name in metrics["baselines"] if name != "random")]
    states = sorted(metrics["data"]["known"], key=lambda one: one["ranks"]["model"])
    rows = [
        [
            one["state"],
            f"{one['cells']:,}",
            *(f"{one['ranks'][name]:g}" for name in methods),
            "yes" if one["learnt"] else "no",
        ]
        for one in states[:_SHOWN_STATES]
    ]
    header = ["state", "cells", *(name.replace("_", " ") for name in methods)]
    caption = (
        f"Rank of the right candidate among {metrics['data']['candidates']:,}. All states are in "
        "metrics.json."
    )
    return [scores, Table([*header, "trained on these cells"], rows, caption)]
