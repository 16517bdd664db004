"""`pl` draws what the reports draw, from results that lie in the cells."""

import numpy as np
import pandas as pd
import pytest

import sc_mamba2 as scm
from sc_mamba2.cells import simulate_cells
from sc_mamba2.errors import UserError


@pytest.fixture(scope="module")
def annotated():
    """Give cells with every result that a picture is made of, not told by a model."""
    cells = simulate_cells(40)
    generator = np.random.default_rng(0)
    cells.obs["one_cell_type"] = pd.Categorical(cells.obs["cell_type"].to_numpy()[::-1])
    cells.obs["one_cell_type_confidence"] = generator.uniform(0.3, 1, 40).astype(np.float32)
    cells.obsm["X_one"] = generator.normal(size=(40, 5)).astype(np.float32)
    cells.obsm["X_other"] = np.where(np.arange(40)[:, None] < 30, cells.obsm["X_one"], np.nan)
    genes = pd.DataFrame(
        {"gene": ["A", "B"], "change": [0.5, -0.2], "p": [1e-9, 0.5], "q": [1e-8, 0.5]}
    ).assign(direction=["up", "none"])
    cells.uns["one"] = {"perturbation": "TP53"}
    cells.uns["one_predicted_genes"] = genes
    return cells


def points(figure) -> list[int]:
    return [sum(len(part.get_offsets()) for part in axis.collections) for axis in figure.axes]


def test_cells_are_drawn_by_class_over_each_embedding(annotated):
    figure = scm.pl.embedding(annotated, "cell_type", basis=["X_one", "X_other"])
    assert [axis.get_title() for axis in figure.axes] == ["X_one", "X_other"]
    assert points(figure) == [30, 30]  # those with a vector in both
    assert figure._repr_png_().startswith(b"\x89PNG")  # what a notebook shows
    alone = scm.pl.embedding(annotated, "batch", basis="X_one")
    assert points(alone) == [40]
    assert {text.get_text() for text in alone.legends[0].get_texts()} == {"first", "second"}


def test_annotated_cells_are_drawn_beside_the_truth(annotated):
    figure = scm.pl.annotation(annotated, "cell_type", key_added="one")
    assert [axis.get_title() for axis in figure.axes[:3]] == [
        "predicted type",
        "true type",
        "confidence",
    ]
    shares = scm.pl.confusion(annotated, "cell_type", key_added="one").axes[0].images[0]
    assert shares.get_array().shape == (3, 3)
    assert scm.pl.calibration(annotated, "cell_type", key_added="one").axes[0].lines
    assert len(scm.pl.annotation(annotated, key_added="one").axes) == 3  # with the colour bar


def test_a_volcano_names_the_perturbation(annotated):
    assert scm.pl.volcano(annotated, key_added="one").axes[0].get_title().startswith("TP53")


def test_a_network_is_drawn_with_the_edges_that_made_its_modules():
    ids = [f"G{n}" for n in range(4)]
    ends = [(0, 1), (1, 2), (0, 3)]
    edges = pd.DataFrame(
        {
            "source": [ids[a] for a, _ in ends],
            "target": [ids[b] for _, b in ends],
            "source_id": [ids[a] for a, _ in ends],
            "target_id": [ids[b] for _, b in ends],
            "rank": [1, 2, 3],
        }
    )
    for name in ("score", "sign", "knock_out_effect", "specific_effect", "cosine", "correlation"):
        edges[name] = 1.0
    from sc_mamba2.methods.gene_modules import find_modules

    cells = simulate_cells(5)
    cells.uns["scm_modules"], cells.uns["scm_edges"] = find_modules(edges[:2], 1.0, 0), edges
    figure = scm.pl.network(cells)
    assert "The 2 best edges" in figure.axes[0].get_title()


def test_what_is_not_there_is_named(annotated):
    with pytest.raises(UserError, match="did you mean 'X_one'"):
        scm.pl.embedding(annotated, "batch", basis="X_on")
    with pytest.raises(UserError, match="label-missing"):
        scm.pl.embedding(annotated, "batches", basis="X_one")
    for draw in (scm.pl.volcano, scm.pl.network, scm.pl.annotation):
        with pytest.raises(UserError, match="result-missing"):
            draw(annotated)


def test_the_training_is_drawn_with_the_epoch_that_was_kept():
    model = scm.Model(simulate_cells(20), label_key="cell_type")
    with pytest.raises(UserError, match="result-missing"):
        scm.pl.training(model)
    losses = {"epoch": [1, 2], "training_loss": [2.0, 1.0], "validation_loss": [1.0, 2.0]}
    model.history = pd.DataFrame(losses)
    figure = scm.pl.training(model)
    assert "kept: epoch 1" in [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    model.task = "batch_correction"
    assert len(scm.pl.training(model).axes) == 2  # its losses measure different things
