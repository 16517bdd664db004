"""`tl.integrate`: an embedding of cells without their batch."""

from pathlib import Path
from typing import Any

from anndata import AnnData

from sc_mamba2.cells.adding import WORD, readable_cells
from sc_mamba2.pipelines.in_memory import run_in_memory
from sc_mamba2.tasks.batch_correction.model import BatchCorrectionModel
from sc_mamba2.tl.shared import (
    Changes,
    Checkpoint,
    alone,
    changes,
    needed,
    returned,
    trained_model,
)


def integrate(
    adata: AnnData,
    *,
    batch_key: str | None = None,
    checkpoint: Checkpoint | None = None,
    start: str | None = None,
    expression: bool = False,
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
    """Take the batches out of cells; as `scm integrate`.

    Parameters
    ----------
    adata
        N cells of two batches or more.
    batch_key
        Column of `obs` with the batches.
    checkpoint
        Trained folder, or model, that knows the batches; nothing is trained.
    start
        Checkpoint whose backbone the training begins with.
    expression
        Whether the corrected expression is added too, as a layer.
    save
        Folder for the trained model, to be used as `checkpoint` here and by the verb.
    layer, max_length, batch_size, device, seed, params, key_added, copy
        As `tl.embed`.

    Returns
    -------
    AnnData or None
        The copy, if one was asked for. Added: ``obsm["X_scm_corrected"]`` (N, E) float32 and
        ``uns["scm"]``; if asked for, ``layers["scm_corrected"]`` and ``var["scm_corrected"]``.

    Raises
    ------
    UserError
        Everything that the verb refuses; nothing is added then.

    Examples
    --------
    >>> import sc_mamba2 as scm
    >>> from sc_mamba2.cells import simulate_cells
    >>> cells = simulate_cells(cells=60)
    >>> short = {"batch_correction.fine_tune.max_epochs": 1, "batch_correction.head.width": 8}
    >>> scm.tl.integrate(cells, batch_key="batch", params=short)
    >>> cells.obsm["X_scm_corrected"].shape
    (60, 8)
    """
    alone(checkpoint, batch_key=batch_key, start=start, save=save, max_length=max_length)
    given: dict[str, Any] = {"reference.raw_cells": readable_cells(adata)}
    if checkpoint is not None:
        given["batch_correction.checkpoint"] = trained_model(checkpoint, BatchCorrectionModel)
    elif batch_key is None:
        raise needed("batch_key", "the column of obs with the batches, or a trained checkpoint")
    own = {
        "batch_correction.keys.batch_key": batch_key,
        "batch_correction.backbone.checkpoint": start,
        "tokenization.vocabulary": start,
        "batch_correction.output.expression": expression or None,
        "batch_correction.predict.batch_size": batch_size,
        "tokenization.max_length": max_length,
    }
    # Labels are for scores; none are computed here.
    unscored = {"batch_correction.keys.label_key": None} | dict(params or {})
    asked = changes(own, layer, device, seed, unscored)
    wanted: tuple[str, ...] = ("batch_correction.integrated",)
    wanted += () if save is None else ("batch_correction.model",)
    name = "batch_correction" if checkpoint is None else "batch_correction_predict"
    told = run_in_memory(name, wanted, given, asked, "tl.integrate")
    if save is not None:
        told["batch_correction.model"].save_pretrained(save)
    return returned(adata, told["batch_correction.integrated"], key_added, copy)
