"""Common parents of sets of types in the Cell Ontology, and their accuracy. N cells, K classes."""

import numpy as np
import pandas as pd

from sc_mamba2.cells import keys
from sc_mamba2.cells.cell_ontology import load_cell_ontology
from sc_mamba2.reporting import Scores
from sc_mamba2.tasks.annotation.rollup import Rollup


def name_parents(
    sets_NK: np.ndarray, labels: tuple[str, ...], terms: dict[str, str], rollup: Rollup | None
) -> np.ndarray:
    """Name the common parent of each cell's set of types, (N,).

    Parameters
    ----------
    sets_NK
        (N, K) bool, at least one type a cell.
    labels
        K class names.
    terms
        Cell Ontology ids of the labels that have one.
    rollup
        Broad type of every class.

    Returns
    -------
    ndarray
        The label if the set has one type, else the common parent, see `CellOntology.common_parent`; if the
        ontology has none, or lacks one of the types, their broad type if they share one; else None.
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
    held = [[n for n, included in zip(labels, row, strict=True) if included] for row in distinct_JK]
    return np.asarray([*map(parent, held), None], dtype=object)[place_N]


def parent_scores(
    calls: pd.DataFrame,
    truth: pd.Series,
    labels: tuple[str, ...],
    terms: dict[str, str],
    rollup: Rollup | None,
) -> Scores:
    """Score how many cells have a type or a parent, and how often it is right.

    Returns
    -------
    dict
        ``parent_share``: cells with a type or parent; ``several_share``: cells with several types in their
        set; ``several_parent_share``: share of these with a parent. With a truth, ``parent_accuracy`` and,
        for sets of several, ``several_parent_accuracy``: the share that is the true type or an ancestor of
        it; a set of one of the model's `labels` is right only if it is the true one. A true type that is not
        among the `labels` counts if both have a term, and is right also if it is the broader one.
    """
    parent, several = calls[keys.TYPE_PARENT], ~calls[keys.TYPE_SET].isin(labels)
    scores = {"parent_share": parent.notna().mean(), "several_share": several.mean()}
    if several.any():
        scores["several_parent_share"] = parent[several].notna().mean()
    ontology = load_cell_ontology()
    true_terms = ontology.match(truth.unique()) | terms

    def right(called: str, true: str, several: bool) -> bool | None:
        """Whether a parent is right for a true type; None: unknown."""
        broad, narrow = terms.get(called, ontology.id_of_name.get(called)), true_terms.get(true)
        if called in (true, (rollup or {}).get(true)):
            return True
        # A label's term may be broader than the label: T activated is no parent of CD8 T.
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
