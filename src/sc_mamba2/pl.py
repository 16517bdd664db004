"""Plots in scanpy's style: the figures of the reports, drawn from results stored in the cells.

They return matplotlib figures and open no window; a notebook shows the figure that a cell ends with.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import pandas as pd
from anndata import AnnData
from matplotlib.figure import Figure

from sc_mamba2.cells import keys, label_text, read_labels
from sc_mamba2.cells.adding import WORD, Cells, named
from sc_mamba2.errors import UserError, nearest
from sc_mamba2.reporting import class_figure, lay_out
from sc_mamba2.tasks.annotation import figures as of_types
from sc_mamba2.tasks.batch_correction import figures as of_batches
from sc_mamba2.tasks.gene_network.figures import graph_figure
from sc_mamba2.tasks.perturbation.figures import volcano_figure
from sc_mamba2.training.machine import restored_random_state

__all__ = ["annotation", "calibration", "confusion", "embedding", "network", "training", "volcano"]


def embedding(
    cells: Cells, color: str, *, basis: str | Sequence[str] = keys.EMBEDDING, seed: int = 0
) -> Figure:
    """Plot a UMAP of an embedding, or of several side by side, coloured by class.

    Parameters
    ----------
    cells
        Cells with the embeddings in `obsm`; those without a vector or a class are left out.
    color
        Column of `obs` with the classes.
    basis
        Names of embeddings: ``X_scm``, ``X_scm_corrected``, ``X_scm_joint``, ``X_pca``, ….
    seed
        Seed of the layout.

    Raises
    ------
    UserError
        Rules ``label-missing`` and ``result-missing``.

    Examples
    --------
    >>> import sc_mamba2 as scm
    >>> from sc_mamba2.cells import simulate_cells
    >>> cells = simulate_cells(cells=12)
    >>> scm.tl.embed(cells)
    >>> len(scm.pl.embedding(cells, "cell_type").axes)
    1
    """
    classes = _classes(cells, color)
    places = {}
    for name in [basis] if isinstance(basis, str) else basis:
        vectors = pd.DataFrame(_result(cells, "obsm", name), index=cells.obs_names).dropna()
        places[name] = _laid_out(vectors, seed)
        classes = classes[classes.index.isin(vectors.index)]
    return class_figure(places, classes)


def annotation(
    adata: AnnData, truth: str | None = None, *, key_added: str = WORD, seed: int = 0
) -> Figure:
    """Plot UMAPs of annotated cells: by predicted type, true type if given, and confidence.

    Parameters
    ----------
    adata
        Cells after `tl.annotate`.
    truth
        Column of `obs` with the true types.
    key_added
        As given to `tl.annotate`.
    seed
        Seed of the layout.

    Raises
    ------
    UserError
        Rules ``label-missing`` and ``result-missing``.
    """
    vectors = _result(adata, "obsm", named(keys.EMBEDDING, key_added))
    places = _laid_out(pd.DataFrame(vectors, index=adata.obs_names), seed)
    true = pd.Series(dtype=str) if truth is None else _classes(adata, truth)
    return of_types.umap_figure(places, _calls(adata, key_added), true)


def confusion(adata: AnnData, truth: str, *, key_added: str = WORD) -> Figure:
    """Plot the confusion matrix: the share of each true type (rows) predicted as each type (columns).

    Parameters
    ----------
    adata, truth, key_added
        As `pl.annotation`.
    """
    return of_types.confusion_figure(_calls(adata, key_added), _classes(adata, truth))


def calibration(adata: AnnData, truth: str, *, key_added: str = WORD) -> Figure:
    """Plot accuracy against confidence.

    Parameters
    ----------
    adata, truth, key_added
        As `pl.annotation`.
    """
    return of_types.calibration_figure(_calls(adata, key_added), _classes(adata, truth))


class Trained(Protocol):
    """The training attributes of a `Model`."""

    task: str
    history: pd.DataFrame


def training(model: Trained) -> Figure:
    """Plot training and validation loss per epoch, and mark the epoch that was kept.

    Parameters
    ----------
    model
        A `Model` that was trained by epochs.

    Raises
    ------
    UserError
        Rule ``result-missing``: no history; the model was loaded, or was fitted without epochs.
    """
    if model.history.empty:
        raise UserError(
            "result-missing",
            found="a model without a history",
            expected="a model trained in this session, epoch by epoch",
            mend="call train(); a loaded model has no history",
        )
    figures = of_batches if model.task == "batch_correction" else of_types
    return figures.training_figure(model.history)


def volcano(adata: AnnData, *, key_added: str = WORD) -> Figure:
    """Plot the predicted change of every gene against its confidence, from `tl.perturb`.

    Parameters
    ----------
    adata
        Cells after `tl.perturb`.
    key_added
        As given to `tl.perturb`.

    Raises
    ------
    UserError
        Rule ``result-missing``.
    """
    table = _result(adata, "uns", named(keys.PREDICTED_GENES, key_added))
    return volcano_figure(table, _result(adata, "uns", key_added)["perturbation"])


def network(adata: AnnData, *, key_added: str = WORD, seed: int = 0) -> Figure:
    """Plot the graph of the top edges of `tl.network`, coloured by module.

    Parameters
    ----------
    adata
        Cells after `tl.network`.
    key_added
        As given to `tl.network`.
    seed
        Seed of the layout.

    Raises
    ------
    UserError
        Rule ``result-missing``.
    """
    modules = _result(adata, "uns", named(keys.MODULES, key_added))
    edges = _result(adata, "uns", named(keys.EDGES, key_added))
    drawn = int(modules["degree"].sum()) // 2  # the edges behind the modules
    with restored_random_state():
        return graph_figure(edges.head(drawn), modules, seed)


def _result(cells: Cells, table: str, name: str) -> Any:
    """Return a stored result; raise rule ``result-missing`` if there is none."""
    place = getattr(cells, table)
    if name not in place:
        raise UserError(
            "result-missing",
            found=f'no {table}["{name}"]',
            expected=f"one of {', '.join(map(str, place)) or 'the results of a tool'}",
            mend="call the tool first, or give the key" + nearest(name, place),
        )
    return place[name]


def _laid_out(vectors: pd.DataFrame, seed: int) -> pd.DataFrame:
    with restored_random_state():
        return lay_out(vectors, seed)


def _calls(adata: AnnData, key_added: str) -> pd.DataFrame:
    """Return predicted types and confidences under the default column names."""
    columns = (keys.CELL_TYPE, keys.CONFIDENCE)
    calls = pd.DataFrame({key: _result(adata, "obs", named(key, key_added)) for key in columns})
    return calls.astype({keys.CELL_TYPE: str})


def _classes(cells: Cells, column: str) -> pd.Series:
    """Return the classes as text, of the cells that have one."""
    if column not in cells.obs:
        read_labels(cells.obs, column)  # raises, and suggests the closest column
    return label_text(cells.obs[column])
