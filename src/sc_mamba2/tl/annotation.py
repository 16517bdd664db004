"""`tl.annotate`: cell types, learnt from a labelled reference or by a trained checkpoint."""

from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData

from sc_mamba2.cells.adding import WORD
from sc_mamba2.tasks.annotation.fit import calibrate, prepare
from sc_mamba2.tasks.annotation.model import AnnotationModel
from sc_mamba2.tasks.annotation.params import AnnotationParams
from sc_mamba2.tasks.annotation.predict import call_cells, prepare_query, write_annotated
from sc_mamba2.tasks.annotation.split import take_query
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
from sc_mamba2.training.determinism import chance_as_found

GROUPS: dict[str, Any] = {"annotation": AnnotationParams, **SHARED_GROUPS}


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
    if checkpoint is None and label_key is None:
        raise needed("label_key", "the column of the reference's obs that holds the types")
    own = {
        f"annotation.labels.{'key' if checkpoint is None else 'query_key'}": label_key,
        "tokenization.vocabulary": start,
        "annotation.backbone.checkpoint": start,
        "annotation.head.fit": fit,
        "annotation.predict.batch_size": batch_size,
        "tokenization.max_length": max_length,
    }
    every_gene = {"tokenization.variable_genes": None} if start else {}
    groups = build_parameters(
        GROUPS, changes(own, layer, device, seed, every_gene | dict(params or {}))
    )
    with chance_as_found():
        query = valid_cells(adata, groups)
        if checkpoint is not None:
            model = trained_model(checkpoint, AnnotationModel)
        else:
            model, _ = train(valid_cells(reference, groups).valid, query.valid, groups)
            if save is not None:
                model.save_pretrained(save)
        annotated = apply(model, query, groups, "tl.annotate")
    return returned(adata, annotated, key_added, copy)


def train(
    reference: AnnData, query: AnnData, groups: Groups
) -> tuple[AnnotationModel, pd.DataFrame]:
    """Train on valid cells of a reference, with the genes that a query measures too; also the history."""
    params, compute = groups["annotation"], groups["compute"]
    training_cells, query_cells, _ = take_query(reference, query, params.labels)
    untrained, training, validation, _ = prepare(
        training_cells,
        query_cells,
        params.labels,
        groups["tokenization"],
        params.backbone,
        params.head,
        compute,
    )
    fitted, history = fine_tune(untrained, training, validation, params.fine_tune, compute)
    return calibrate(fitted, validation, params.calls, params.predict, compute), history


def apply(model: AnnotationModel, query: ValidCells, groups: Groups, caller: str) -> AnnData:
    """Annotate a copy of the cells by a trained model."""
    params, compute = groups["annotation"], groups["compute"]
    tokens, _ = prepare_query(query.valid, model, params.labels)
    outputs = predict(model, tokens, params.predict, compute)
    calls, embedding = call_cells(outputs, model, tokens, params.calls, params.labels, compute)
    facts = run_facts(caller, groups)
    return write_annotated(query.raw, calls, embedding, model, query.report, facts)
