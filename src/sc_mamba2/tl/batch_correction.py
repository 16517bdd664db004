"""`tl.integrate`: an embedding of cells without their batch."""

from copy import deepcopy
from pathlib import Path
from typing import Any

from anndata import AnnData
from pydantic import BaseModel

from sc_mamba2.cells.adding import WORD
from sc_mamba2.tasks.batch_correction.fit import prepare
from sc_mamba2.tasks.batch_correction.model import BatchCorrectionModel
from sc_mamba2.tasks.batch_correction.params import BatchCorrectionParams
from sc_mamba2.tasks.batch_correction.predict import prepare_known, write_integrated
from sc_mamba2.tasks.shared.backbone import fine_tune, predict
from sc_mamba2.tasks.shared.parameters import build_parameters
from sc_mamba2.tasks.shared.params import IngestionParams, TokenizationParams, ValidationParams
from sc_mamba2.tl.shared import (
    Changes,
    Checkpoint,
    Groups,
    alone,
    changes,
    needed,
    returned,
    run_facts,
    trained_model,
    valid_cells,
)
from sc_mamba2.training import ComputeOptions
from sc_mamba2.training.determinism import chance_as_found

GROUPS: dict[str, type[BaseModel]] = {
    "batch_correction": BatchCorrectionParams,
    "ingestion": IngestionParams,
    "validation": ValidationParams,
    "tokenization": TokenizationParams,
    "compute": ComputeOptions,
}


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
    groups: Groups = build_parameters(GROUPS, changes(own, layer, device, seed, unscored))
    task, compute = groups["batch_correction"], groups["compute"]
    with chance_as_found():
        raw, valid, report = valid_cells(adata, groups)
        model: Any
        if checkpoint is None:
            before = (task.keys, groups["tokenization"], task.backbone, task.head, task.objective)
            untrained, tokens, training, validation, _ = prepare(valid, *before, compute)
            model, _ = fine_tune(untrained, training, validation, task.fine_tune, compute)
        else:
            model = deepcopy(trained_model(checkpoint, BatchCorrectionModel))  # as it was given
            tokens, _ = prepare_known(valid, model, task.keys)
        outputs = predict(model, tokens, task.predict, compute)
        facts = (model, report, run_facts("tl.integrate", groups))
        results = write_integrated(raw, outputs, *facts, task.output, groups["ingestion"])
    if save is not None:
        model.save_pretrained(save)
    return returned(adata, results, key_added, copy)
