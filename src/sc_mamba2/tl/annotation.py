"""`tl.annotate`: cell types, learnt from a labelled reference or by a trained checkpoint."""

from pathlib import Path
from typing import Any

from anndata import AnnData

from sc_mamba2.cells.adding import WORD, readable_cells
from sc_mamba2.pipelines.in_memory import run_in_memory
from sc_mamba2.tasks.annotation.model import AnnotationModel
from sc_mamba2.tl.shared import (
    Changes,
    Checkpoint,
    alone,
    changes,
    needed,
    returned,
    trained_model,
)


def annotate(
    adata: AnnData,
    reference: AnnData | None = None,
    *,
    label_key: str | None = None,
    checkpoint: Checkpoint | None = None,
    start: str | None = None,
    fit: str | None = None,
    save: str | Path | None = None,
    layer: str | None = None,
    max_length: int | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    seed: int | None = None,
    params: Changes | None = None,
    key_added: str = WORD,
    copy: bool = False,
) -> AnnData | None:
    """Give every cell a type; as `scm annotate`.

    Parameters
    ----------
    adata
        N cells to annotate.
    reference
        Labelled cells to learn from.
    label_key
        Column of the reference's `obs` with the types.
    checkpoint
        Trained folder, or model, in the place of a reference; nothing is trained.
    start
        Checkpoint that the training begins with, all of its genes read.
    fit
        How the head learns: ``gradient``, ``linear`` (few labels) or ``prototypes``.
    save
        Folder for the trained model, to be used as `checkpoint` here and by the verb.
    layer, max_length, batch_size, device, seed, params, key_added, copy
        As `tl.embed`.

    Returns
    -------
    AnnData or None
        The copy, if one was asked for. Added: ``obs["scm_cell_type"]``,
        ``obs["scm_cell_type_confidence"]`` (0 to 1), ``obs["scm_unassigned"]``,
        ``obsm["scm_cell_type_probability"]`` (N, K), ``obsm["X_scm"]`` (N, D) and ``uns["scm"]``.

    Raises
    ------
    UserError
        Everything that the verb refuses; nothing is added then.

    Examples
    --------
    >>> import sc_mamba2 as scm
    >>> from sc_mamba2.cells import simulate_cells
    >>> reference, query = simulate_cells(cells=60), simulate_cells(cells=20, seed=1)
    >>> short = {"annotation.fine_tune.max_epochs": 1}
    >>> scm.tl.annotate(query, reference, label_key="cell_type", params=short)
    >>> set(query.obs["scm_cell_type"]) <= set(reference.obs["cell_type"])
    True
    """
    if (checkpoint is None) == (reference is None):
        raise needed("reference or checkpoint alone", "labelled cells, or a trained checkpoint")
    alone(checkpoint, start=start, fit=fit, save=save, max_length=max_length)
    given: dict[str, Any] = {"query.raw_cells": readable_cells(adata)}
    if checkpoint is not None:
        given["annotation.checkpoint"] = trained_model(checkpoint, AnnotationModel)
    elif label_key is None:
        raise needed("label_key", "the column of the reference's obs that holds the types")
    else:
        given["reference.raw_cells"] = readable_cells(reference)
    own = {
        f"annotation.labels.{'key' if checkpoint is None else 'query_key'}": label_key,
        "tokenization.vocabulary": start,
        "annotation.backbone.checkpoint": start,
        "annotation.head.fit": fit,
        "annotation.predict.batch_size": batch_size,
        "tokenization.max_length": max_length,
    }
    every_gene = {"tokenization.variable_genes": None} if start else {}
    asked = changes(own, layer, device, seed, every_gene | dict(params or {}))
    wanted = ("annotation.annotated",) + (() if save is None else ("annotation.model",))
    name = "annotation_query" if checkpoint is None else "annotation_predict"
    told = run_in_memory(name, wanted, given, asked, "tl.annotate")
    if save is not None:
        told["annotation.model"].save_pretrained(save)
    return returned(adata, told["annotation.annotated"], key_added, copy)
