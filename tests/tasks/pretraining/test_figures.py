"""The picture of a pretraining, by what its journal holds."""

import pandas as pd

from sc_mamba2.tasks.pretraining.figures import draw_loss, loss_figure

KINDS = ("plain", "posterior", "own_plain", "own_posterior", "means_plain", "means_posterior")


def journal(parts, **held_out):
    rows = [{"step": step, "loss": 9.0 - step, **dict.fromkeys(parts, 1.0)} for step in (1, 2)]
    judged = {f"held_out/{name}": value for name, value in held_out.items()}
    return pd.DataFrame(rows + ([{"step": 2, **judged}] if judged else []))


def drawn(history):
    """Give the lines of every axes by label."""
    axes = loss_figure(history).axes
    return [{line.get_label(): list(line.get_ydata()) for line in axis.lines} for axis in axes]


def test_masked_error_stands_beside_the_gene_mean():
    table = journal(["loss/expression"], loss=0.5, model=3.0, cell=2.0, gene_mean=4.0)
    loss, errors = drawn(table)
    assert loss == {"training": [8.0, 7.0], "held out": [0.5]}
    assert errors == {"from the token": [3.0], "from the cell": [2.0], "gene mean": [4.0]}


def test_nats_stand_beside_the_level_of_the_gene_means():
    told = dict(zip(KINDS, (6.0, 5.0, 4.0, 3.0, 2.0, 1.0), strict=True))
    loss, nats = drawn(journal(["loss/plain"], loss=3.0, **told))
    assert loss == {"training": [8.0, 7.0]}  # a weighed sum: no nats of held-out cells beside it
    assert nats == {
        "as it comes": [5.0],
        "moved to the study's gene means": [3.0],
        "study's gene means": [1.0, 1.0],
    }


def test_without_held_out_cells_there_is_the_loss_alone():
    for part, scale in (("loss/plain", "loss a cell"), ("loss/zeros", "loss a masked token")):
        figure = loss_figure(journal([part]))
        assert [axis.get_ylabel() for axis in figure.axes] == [scale]
    assert draw_loss(journal(["loss/plain"])).keys() == {"loss"}
