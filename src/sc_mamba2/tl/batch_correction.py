"""`tl.integrate`: an embedding of cells without their batch."""

from copy import deepcopy
from pathlib import Path

import pandas as pd
from anndata import AnnData

from sc_mamba2.cells.adding import WORD
from sc_mamba2.tasks.batch_correction.fit import prepare
from sc_mamba2.tasks.batch_correction.model import BatchCorrectionModel
from sc_mamba2.tasks.batch_correction.params import BatchCorrectionParams
from sc_mamba2.tasks.batch_correction.predict import prepare_known, write_integrated
from sc_mamba2.tasks.shared.backbone import fine_tune, predict
from sc_mamba2.tasks.shared.parameters import build_parameters
from sc_mamba2.tasks.shared.params import SHARED_GROUPS
from sc_mamba2.tl.shared import (
    Changes,
    Checkpoint,
    Groups,
    ValidCells,
    alone,
    changes,
    needed,
    returned,
    run_facts,
    trained_model,
    valid_cells,
)
from sc_mamba2.training.machine import chance_as_found

GROUPS = SHARED_GROUPS | {"batch_correction": BatchCorrectionParams}


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
    if checkpoint is None and batch_key is None:
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
    groups = build_parameters(GROUPS, changes(own, layer, device, seed, unscored))
    with chance_as_found():
        cells = valid_cells(adata, groups)
        if checkpoint is not None:
            model = trained_model(checkpoint, BatchCorrectionModel)
        else:
            model, _ = train(cells.valid, groups)
            if save is not None:
                model.save_pretrained(save)
        integrated = apply(model, cells, groups, "tl.integrate")
    return returned(adata, integrated, key_added, copy)


def train(valid: AnnData, groups: Groups) -> tuple[BatchCorrectionModel, pd.DataFrame]:
    """Train on valid cells of several batches; also the history."""
    params, compute = groups["batch_correction"], groups["compute"]
    untrained, _, training, validation, _ = prepare(
        valid,
        params.keys,
        groups["tokenization"],
        params.backbone,
        params.head,
        params.objective,
        compute,
    )
    return fine_tune(untrained, training, validation, params.fine_tune, compute)


def apply(model: BatchCorrectionModel, cells: ValidCells, groups: Groups, caller: str) -> AnnData:
    """Correct a copy of the cells by a trained model, which stays where it is."""
    params, compute = groups["batch_correction"], groups["compute"]
    model = deepcopy(model)
    tokens, _ = prepare_known(cells.valid, model, params.keys)
    outputs = predict(model, tokens, params.predict, compute)
    facts = run_facts(caller, groups)
    written = model, cells.report, facts, params.output, groups["ingestion"]
    return write_integrated(cells.raw, outputs, *written)
