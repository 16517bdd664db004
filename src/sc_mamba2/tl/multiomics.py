"""`tl.multiome`: a joint embedding of cells measured in several modalities."""

from pathlib import Path
from typing import Any

import mudata

from sc_mamba2.cells.adding import WORD, check_kind
from sc_mamba2.cells.modalities.opening import quiet_mudata, take_modalities
from sc_mamba2.tasks.multiomics.cells import JointCells, standardise_modalities
from sc_mamba2.tasks.multiomics.fit import fit_imputers, prepare
from sc_mamba2.tasks.multiomics.model import MultiomicsModel
from sc_mamba2.tasks.multiomics.params import MultiomicsParams
from sc_mamba2.tasks.multiomics.predict import prepare_known, standardise_known, write_joint
from sc_mamba2.tasks.shared.backbone import fine_tune, predict
from sc_mamba2.tasks.shared.parameters import build_parameters
from sc_mamba2.tasks.shared.params import SHARED_GROUPS
from sc_mamba2.tl.shared import (
    Changes,
    Checkpoint,
    Groups,
    note_training,
    returned,
    run_facts,
    trained_model,
)
from sc_mamba2.tl.tool import refuse_training_options, tool
from sc_mamba2.tokens import TokenizedCells
from sc_mamba2.training.machine import restored_random_state

GROUPS: dict[str, Any] = {"multiomics": MultiomicsParams, **SHARED_GROUPS}


@tool("multiome")
def multiome(
    mdata: mudata.MuData,
    *,
    held_out: tuple[str, str] | None = None,
    checkpoint: Checkpoint | None = None,
    start: str | None = None,
    save: str | Path | None = None,
    key_added: str = WORD,
    copy: bool = False,
    options: Changes,
) -> mudata.MuData | None:
    """Embed cells measured by RNA and protein, or RNA and ATAC, like `scm multiome`.

    Parameters
    ----------
    mdata
        N cells; not all need every modality.
    held_out
        Column of `obs`, and its value for the cells to hold out from training.
    checkpoint
        Trained model, or its folder; nothing is trained.
    start
        Checkpoint from which training starts; ``none`` for a new model.
    save
        Folder to save the trained model in; usable as `checkpoint` here and with the command.
    options
        Those of the verb.

    Returns
    -------
    MuData or None
        The copy if `copy` is set. Added: ``obsm["X_scm_joint"]``, ``obsm["X_scm_rna"]`` and the like
        (NaN where a cell lacks the modality), ``obsm["scm_imputed_protein"]``,
        ``obs["scm_held_out"]``, ``uns["scm"]``, and ``var["scm_imputed_error"]`` per modality.

    Examples
    --------
    >>> import mudata
    >>> import sc_mamba2 as scm
    >>> from sc_mamba2.cells.simulate_pairs import simulate_rna_protein
    >>> _ = mudata.set_options(pull_on_update=False)
    >>> cells = mudata.MuData(simulate_rna_protein(cells=60, genes=80))
    >>> short = {"multiomics.fine_tune.max_epochs": 1, "multiomics.head.components": 4}
    >>> scm.tl.multiome(cells, start="none", params=short)
    >>> len(cells.obsm["X_scm_joint"])
    60
    """
    check_kind(mdata, mudata.MuData)
    refuse_training_options(checkpoint, {"held_out": held_out, "start": start, "save": save})
    own: dict[str, Any] = {}
    if held_out is not None:
        own["multiomics.keys.held_out_key"], own["multiomics.keys.held_out_value"] = held_out
    if start is not None:
        own["multiomics.backbone.checkpoint"] = None if start == "none" else start
    groups: Groups = build_parameters(GROUPS, {**own, **options})
    task, reading = groups["multiomics"], (groups["ingestion"], groups["validation"])
    with restored_random_state(), quiet_mudata():
        raw = take_modalities(mdata, rna_alone=checkpoint is not None)
        if checkpoint is not None:
            model = trained_model(checkpoint, MultiomicsModel)
            cells, report = standardise_known(raw, model, *reading)
            tokens, _ = prepare_known(cells, model, task.keys)
        else:
            cells, report = standardise_modalities(raw, task.features, *reading)
            model, tokens = _train(cells, groups)
            note_training(model, groups)
            if save is not None:
                model.save_pretrained(save)
        outputs = predict(model, tokens, task.predict, groups["compute"])
        own_cells, facts = mudata.MuData(dict(raw)), run_facts("tl.multiome", groups, model)
        joint = write_joint(own_cells, tokens, outputs, model, report, facts, task.output)
        return returned(mdata, joint, key_added, copy)


def _train(cells: JointCells, groups: Groups) -> tuple[MultiomicsModel, TokenizedCells]:
    params, compute = groups["multiomics"], groups["compute"]
    untrained, tokens, training, validation, _ = prepare(
        cells,
        params.keys,
        groups["tokenization"],
        params.backbone,
        params.features,
        params.head,
        params.objective,
        compute,
    )
    fitted, _ = fine_tune(untrained, training, validation, params.fine_tune, compute)
    parts = (training, validation, params.imputation, params.predict, compute)
    return fit_imputers(fitted, *parts), tokens
