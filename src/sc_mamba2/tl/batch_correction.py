"""`tl.integrate`: a batch-corrected embedding of cells."""

from pathlib import Path

import pandas as pd
from anndata import AnnData

from sc_mamba2.cells.adding import WORD
from sc_mamba2.tasks.batch_correction.candidates import Candidates, combine
from sc_mamba2.tasks.batch_correction.fit import prepare
from sc_mamba2.tasks.batch_correction.model import BatchCorrectionModel
from sc_mamba2.tasks.batch_correction.params import BatchCorrectionParams
from sc_mamba2.tasks.batch_correction.predict import prepare_known, write_integrated
from sc_mamba2.tasks.shared.backbone import fine_tune, predict
from sc_mamba2.tasks.shared.coverage import add_coverage
from sc_mamba2.tasks.shared.parameters import build_parameters
from sc_mamba2.tasks.shared.params import SHARED_GROUPS
from sc_mamba2.tl.shared import (
    Changes,
    Checkpoint,
    Groups,
    ValidCells,
    needed,
    note_training,
    returned,
    run_facts,
    trained_model,
    valid_cells,
)
from sc_mamba2.tl.tool import refuse_training_options, tool
from sc_mamba2.training.machine import restored_random_state

GROUPS = SHARED_GROUPS | {"batch_correction": BatchCorrectionParams}


@tool("integrate")
def integrate(
    adata: AnnData,
    *,
    checkpoint: Checkpoint | None = None,
    save: str | Path | None = None,
    key_added: str = WORD,
    copy: bool = False,
    options: Changes,
) -> AnnData | None:
    """Compute a batch-corrected embedding of the cells, like `scm integrate`.

    Parameters
    ----------
    adata
        N cells of two or more batches.
    checkpoint
        Fitted model, or its folder, that knows the batches; nothing is fitted.
    save
        Folder to save the fitted model in; usable as `checkpoint` here and with the command.
    options
        Those of the verb.

    Returns
    -------
    AnnData or None
        The copy if `copy` is set. Added: ``obsm["X_scm_corrected"]`` (N, E) float32 and
        ``uns["scm"]``; on request, ``obsm["X_scm_corrected_<candidate>"]``,
        ``layers["scm_corrected"]`` and ``var["scm_corrected"]``.

    Examples
    --------
    >>> import sc_mamba2 as scm
    >>> from sc_mamba2.cells import simulate_cells
    >>> cells = simulate_cells(cells=60)
    >>> scm.tl.integrate(cells, batch_key="batch")
    >>> cells.obsm["X_scm_corrected"].shape
    (60, 20)
    """
    refuse_training_options(checkpoint, {"save": save})
    if checkpoint is None and "batch_correction.keys.batch_key" not in options:
        raise needed("batch_key", "the column of obs with the batches, or a trained checkpoint")
    # Labels are used only for scores, which are not computed here.
    groups = build_parameters(GROUPS, {"batch_correction.keys.label_key": None, **options})
    with restored_random_state():
        cells = valid_cells(adata, groups)
        candidates = None
        if checkpoint is not None:
            model = trained_model(checkpoint, BatchCorrectionModel)
        else:
            model, _, candidates = train(cells.valid, groups)
            if save is not None:
                model.save_pretrained(save)
        integrated = apply(model, cells, groups, "tl.integrate", candidates)
    return returned(adata, integrated, key_added, copy)


def train(valid: AnnData, groups: Groups) -> tuple[BatchCorrectionModel, pd.DataFrame, Candidates]:
    """Integrate valid cells of several batches; return the model, its history and its candidates."""
    params, compute = groups["batch_correction"], groups["compute"]
    untrained, tokens, training, validation, _ = prepare(
        valid,
        params.keys,
        groups["tokenization"],
        params.backbone,
        params.head,
        params.objective,
        params.ablations,
        compute,
    )
    trained, history = fine_tune(untrained, training, validation, params.fine_tune, compute)
    joined = valid, tokens, trained, params.candidates, params.predict, compute
    model, candidates = combine(*joined)
    note_training(model, groups)
    return model, history, candidates


def apply(
    model: BatchCorrectionModel,
    cells: ValidCells,
    groups: Groups,
    caller: str,
    candidates: Candidates | None = None,
) -> AnnData:
    """Correct a copy of the cells with a fitted model; `candidates` are added if the output asks for them."""
    params, compute = groups["batch_correction"], groups["compute"]
    report = add_coverage(model, cells.valid, cells.report, groups["validation"])
    tokens, _ = prepare_known(cells.valid, model, params.keys)
    outputs = predict(model, tokens, params.predict, compute)
    facts = run_facts(caller, groups, model)
    written = model, report, facts, params.output, groups["ingestion"], candidates
    return write_integrated(cells.raw, outputs, *written)
