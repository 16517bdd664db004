"""The pictures: what they show of how much, the same for the same seed."""

import random
from types import SimpleNamespace

import numpy as np
import pytest

from sc_mamba2.methods.gene_modules import find_modules
from sc_mamba2.reporting.pictures import draw_pictures
from sc_mamba2.tasks.gene_network.figures import (
    MAX_COLUMNS,
    MAX_ROWS,
    PICTURES,
    graph_figure,
    heat_map_figure,
)
from sc_mamba2.tasks.gene_network.genes import Choice
from sc_mamba2.tasks.gene_network.scores import edge_table


def random_scores(regulators: int, targets: int) -> SimpleNamespace:
    values = np.random.default_rng(0).normal(size=(regulators, targets))
    names = [np.array([f"{kind}$_{at}" for at in range(n)]) for kind, n in zip("RT", values.shape)]
    return SimpleNamespace(
        choice=Choice(*names, *names, "here"),
        knock_outs=SimpleNamespace(specific_RT=values, effect_RT=values),
        by_method=dict.fromkeys(
            ("consensus", "correlation", "pearson", "boosting", "cosine"), values
        )
        | {"knock_out": np.abs(values)},
        agreement_RT=np.ones(values.shape, int),
    )


@pytest.mark.parametrize(("regulators", "targets"), [(1, 2), (4, 9), (40, 70)])
def test_the_heat_map_shows_the_best_and_the_largest_effect_is_the_scale(regulators, targets):
    scores = random_scores(regulators, targets)
    axis = heat_map_figure(scores, "knock_out").axes[0]
    image = axis.images[0]
    shown = np.asarray(image.get_array())
    assert shown.shape == (min(regulators, MAX_ROWS), min(targets, MAX_COLUMNS))
    assert image.norm.vmax == -image.norm.vmin == np.abs(shown).max()
    assert np.abs(shown).max() == np.abs(scores.by_method["correlation"]).max()
    assert len(axis.get_yticklabels()) == len(shown)


def test_an_effect_stands_at_its_two_names():
    scores = random_scores(4, 9)
    axis = heat_map_figure(scores, "knock_out").axes[0]
    shown = np.asarray(axis.images[0].get_array())
    for row, regulator in enumerate(axis.get_yticklabels()):
        for column, target in enumerate(axis.get_xticklabels()):
            at = [int(one.get_text().split("_")[1]) for one in (regulator, target)]
            assert shown[row, column] == scores.by_method["correlation"][*at]


def test_the_graph_has_every_edge_and_leaves_chance_as_it_was():
    edges = edge_table(random_scores(4, 9), "knock_out", 20)
    modules = find_modules(edges, 1.0, 0)
    random.seed(5)
    state = random.getstate()
    axis = graph_figure(edges, modules, 0).axes[0]
    assert random.getstate() == state
    (lines,) = (part for part in axis.collections if hasattr(part, "get_segments"))
    assert len(lines.get_segments()) == 20
    points = sum(len(part.get_offsets()) for part in axis.collections if part is not lines)
    assert points == len(modules)


def test_both_pictures_are_drawn_and_equal_for_an_equal_seed():
    scores = random_scores(3, 5)
    edges = edge_table(scores, "knock_out", 10)
    drawn = [
        draw_pictures(
            PICTURES,
            scores=scores,
            method="knock_out",
            edges=edges,
            modules=find_modules(edges, 1.0, 0),
            seed=seed,
        )
        for seed in (0, 0, 1)
    ]
    assert list(drawn[0]) == ["heat_map", "network"] and drawn[0] == drawn[1]
    assert drawn[0]["network"] != drawn[2]["network"]
