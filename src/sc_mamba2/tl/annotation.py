"""`tl.annotate`: cell types, learnt from a labelled reference or predicted by a trained checkpoint."""

import logging
from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData

from sc_mamba2.cells.adding import WORD
from sc_mamba2.tasks.annotation.annotator import Annotator
from sc_mamba2.tasks.annotation.fit import calibrate, prepare
from sc_mamba2.tasks.annotation.other_genes import adapt_to_query
from sc_mamba2.tasks.annotation.params import AnnotationParams, unused_by, unused_words
from sc_mamba2.tasks.annotation.predict import call_cells, prepare_query, write_annotated
from sc_mamba2.tasks.annotation.split import take_query
from sc_mamba2.tasks.shared.backbone import fine_tune, predict
from sc_mamba2.tasks.shared.parameters import build_parameters, flatten
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

START = "annotation.backbone.checkpoint"
_log = logging.getLogger(__name__)
GROUPS: dict[str, Any] = {"annotation": AnnotationParams, **SHARED_GROUPS}


@tool("annotate")
def annotate(
    adata: AnnData,
    reference: AnnData | None = None,
    *,
    label_key: str | None = None,
    checkpoint: Checkpoint | None = None,
    save: str | Path | None = None,
    key_added: str = WORD,
    copy: bool = False,
    options: Changes,
) -> AnnData | None:
    """Predict the type of every cell, like `scm annotate`.

    Parameters
    ----------
    adata
        N cells to annotate.
    reference
        Labelled cells to train on.
    label_key
        Column of the reference's `obs` with the types; with a checkpoint, of `adata`.
    checkpoint
        Trained model, or its folder, instead of a reference; nothing is trained.
    save
        Folder to save the trained model in; usable as `checkpoint` here and with the command.
    options
        Those of the verb.

    Returns
    -------
    AnnData or None
        The copy if `copy` is set. Added: ``obs["scm_cell_type"]``,
        ``obs["scm_cell_type_confidence"]`` (0 to 1), ``obs["scm_cell_type_set"]``,
        ``obs["scm_cell_type_parent"]``, ``obs["scm_cell_type_agreement"]``, ``obs["scm_distance"]``,
        ``obs["scm_unassigned"]``, ``obsm["scm_cell_type_probability"]`` (N, K),
        ``obsm["scm_cell_type_experts"]``, ``obsm["X_scm"]`` (N, D) and ``uns["scm"]``.

    Examples
    --------
    >>> import sc_mamba2 as scm
    >>> from sc_mamba2.cells import simulate_cells
    >>> reference, query = simulate_cells(cells=60), simulate_cells(cells=20, seed=1)
    >>> scm.tl.annotate(query, reference, label_key="cell_type")
    >>> set(query.obs["scm_cell_type"]) <= set(reference.obs["cell_type"])
    True
    """
    if (checkpoint is None) == (reference is None):
        raise needed("only reference or only checkpoint", "labelled cells, or a trained checkpoint")
    refuse_training_options(checkpoint, {"save": save})
    if checkpoint is None and label_key is None:
        raise needed("label_key", "the column of the reference's obs with the types")
    key = f"annotation.labels.{'key' if checkpoint is None else 'query_key'}"
    labels = {} if label_key is None else {key: label_key}
    every_gene = {"tokenization.variable_genes": None} if START in options else {}
    groups = build_parameters(GROUPS, {**labels, **every_gene, **options})
    fit = groups["annotation"].head.fit
    if unused := unused_by(fit, flatten(dict(options))):
        _log.warning("%s.", unused_words(fit, unused))
    with restored_random_state():
        query = valid_cells(adata, groups)
        if checkpoint is not None:
            model = trained_model(checkpoint, Annotator)  # type: ignore[type-abstract]
        else:
            model, _ = train(valid_cells(reference, groups).valid, query.valid, groups)
            if save is not None:
                model.save_pretrained(save)
        annotated = apply(model, query, groups, "tl.annotate")
    return returned(adata, annotated, key_added, copy)


def train(reference: AnnData, query: AnnData, groups: Groups) -> tuple[Annotator, pd.DataFrame]:
    """Train on valid reference cells, for a query that must share enough genes; return model and history."""
    params, compute = groups["annotation"], groups["compute"]
    training_cells, query_cells, _ = take_query(reference, query, params.labels)
    untrained, training, validation, _ = prepare(
        training_cells,
        query_cells,
        params.labels,
        groups["tokenization"],
        params.backbone,
        params.head,
        params.consensus,
        groups["validation"],
        compute,
    )
    fitted, history = fine_tune(untrained, training, validation, params.fine_tune, compute)
    model = calibrate(fitted, validation, params.calls, params.predict, compute)
    note_training(model, groups)
    return model, history


def apply(model: Annotator, query: ValidCells, groups: Groups, caller: str) -> AnnData:
    """Annotate a copy of the cells with a trained model."""
    params, compute = groups["annotation"], groups["compute"]
    tokens, _ = prepare_query(query.valid, model, params.labels)
    met = query.valid, query.report, groups["validation"], params.predict, compute
    reader, report = adapt_to_query(model, *met)
    outputs = predict(reader, tokens, params.predict, compute)
    calls, embedding = call_cells(outputs, reader, tokens, params.calls, params.labels, compute)
    facts = run_facts(caller, groups, model)
    return write_annotated(query.raw, calls, embedding, model, report, facts)
