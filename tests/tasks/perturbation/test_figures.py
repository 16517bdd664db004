"""The pictures of a perturbation: names where no gene passes, and marks that do not hide each other."""

import pandas as pd
import pytest

from sc_mamba2.tasks.perturbation.figures import unit_figure, volcano_figure
from sc_mamba2.tasks.perturbation.reverse.comparisons import BASELINES
from sc_mamba2.tasks.perturbation.reverse.evaluate import MODEL
from sc_mamba2.tasks.perturbation.reverse.figures import known_figure


@pytest.mark.parametrize("passing", [0, 2])
def test_a_volcano_names_its_surest_genes_whether_or_not_any_passes(passing):
    genes = pd.DataFrame({"gene": list("dcba"), "p": [0.9, 0.5, 0.2, 0.1]})
    genes["change"] = [-2.0, -1.0, 1.0, 2.0]
    genes["q"] = genes["p"].where(genes.index < 4 - passing, 0.01)
    genes["direction"] = ["down", "down", "up", "up"]
    (axis,) = volcano_figure(genes, "A").axes
    assert [text.get_text() for text in axis.texts] == ["a", "b", "c", "d"]
    assert ("none has q < 0.05" in axis.get_title()) == (not passing)


def test_equal_scores_of_methods_are_all_seen():
    methods = ["model", "no_change", "mean"]
    unit = {"unit": "A", "cells": 9, "ceiling": 0.5}
    unit["scores"] = {method: {"pearson_delta": 0.3} for method in methods}
    (axis,) = unit_figure([unit], methods).axes
    places = [tuple(points.get_offsets()[0]) for points in axis.collections]
    assert len(set(places)) == 3 and all(abs(y) < 0.4 for _, y in places)


def test_equal_shares_of_known_states_are_all_seen():
    known = [{"ranks": dict.fromkeys((MODEL, *BASELINES), 1.0)}]
    (axis,) = known_figure(known, pd.DataFrame(index=range(5))).axes
    starts = {line.get_xdata()[0] for line in axis.lines if line.get_marker() != "None"}
    assert len(starts) == 1 + len(BASELINES)
