"""The common parent of a cell's set of types, by the Cell Ontology, and how often it is right. K classes."""

import numpy as np
import pandas as pd

from sc_mamba2.cells import keys
from sc_mamba2.cells.cell_ontology import load_cell_ontology
from sc_mamba2.reporting import Scores
from sc_mamba2.tasks.annotation.rollup import Rollup


def name_parents(
    sets_NK: np.ndarray, labels: tuple[str, ...], terms: dict[str, str], rollup: Rollup | None
) -> np.ndarray:
    """Name what all types of each cell's set are, (N,).

    Parameters
    ----------
    sets_NK
        (N, K) bool, one type a cell at least.
    labels
        K class names.
    terms
        Id in the Cell Ontology of the labels that have one.
    rollup
        Broad type of every class.

    Returns
    -------
    ndarray
        The label of a set of one; of several their common parent, see `CellOntology.common_parent`; where
        the ontology has none, or lacks one of them, their broad type if they share one; else None.
    """
    ontology = load_cell_ontology()

    def parent(names: list[str]) -> str | None:
        if len(names) == 1:
            return names[0]
        idents = [terms.get(name) for name in names]
        if None not in idents and (common := ontology.common_parent(idents)):  # type: ignore[arg-type]
            return ontology.names[common]
        broad = {(rollup or {}).get(name) for name in names}
        return broad.pop() if len(broad) == 1 else None

    distinct_JK, place_N = np.unique(sets_NK, axis=0, return_inverse=True)
    held = [[n for n, there in zip(labels, row, strict=True) if there] for row in distinct_JK]
    return np.asarray([*map(parent, held), None], dtype=object)[place_N]


def parent_scores(
    calls: pd.DataFrame,
    truth: pd.Series,
    labels: tuple[str, ...],
    terms: dict[str, str],
    rollup: Rollup | None,
) -> Scores:
    """Say how many cells have a type or a parent, and how often it is right.

    Returns
    -------
    dict
        ``parent_share`` of all cells, ``several_share`` those with several types in their set, and
        ``several_parent_share`` of these with a parent. Where there is a truth, ``parent_accuracy`` and of the
        parents of several ``several_parent_accuracy``: the share that is the true type or lies above
        it; a set of one of the model's `labels` is right of the same one alone. A truth that is none of
        them counts where both have a term, and then also if it is the broader one.
    """
    parent, several = calls[keys.TYPE_PARENT], ~calls[keys.TYPE_SET].isin(labels)
    scores = {"parent_share": parent.notna().mean(), "several_share": several.mean()}
    if several.any():
        scores["several_parent_share"] = parent[several].notna().mean()
    ontology = load_cell_ontology()
    true_terms = ontology.match(truth.unique()) | terms

    def right(called: str, true: str, several: bool) -> bool | None:
        """Whether a parent is right of a true type; None: nobody can tell."""
        broad, narrow = terms.get(called, ontology.id_of_name.get(called)), true_terms.get(true)
        if called in (true, (rollup or {}).get(true)):
            return True
        # A label may have a broader term than it means: T activated is no parent of CD8 T.
        if not several and true in labels:
            return False
        if broad is None or narrow is None:
            return False if true in labels else None
        within = true not in labels and narrow in ontology.ancestors(broad)
        return within or broad in ontology.ancestors(narrow)

    found = parent.loc[truth.index]
    pairs = pd.DataFrame({"called": found, "true": truth})[found.notna()]
    pairs["several"] = several.loc[pairs.index]
    judged = pairs.value_counts().rename("cells").reset_index()
    columns = (judged[name] for name in ("called", "true", "several"))
    judged["right"] = [right(*row) for row in zip(*columns, strict=True)]
    judged = judged.dropna()
    for name, part in (("", judged), ("several_", judged[judged["several"]])):
        if len(part):
            right_cells = part.loc[part["right"].astype(bool), "cells"].sum()
            scores[f"{name}parent_accuracy"] = right_cells / part["cells"].sum()
    return {name: float(value) for name, value in scores.items()}
