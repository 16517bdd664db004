"""`tl.multiome`: one embedding of cells of which several modalities were measured."""

from pathlib import Path
from typing import Any

import mudata

from sc_mamba2.cells.adding import WORD, check_kind
from sc_mamba2.cells.modalities.opening import quiet_mudata, take_modalities
from sc_mamba2.pipelines.in_memory import run_in_memory
from sc_mamba2.tasks.multiomics.model import MultiomicsModel
from sc_mamba2.tl.shared import (
    Changes,
    Checkpoint,
    alone,
    changes,
    returned,
    trained_model,
)


def multiome(
    mdata: mudata.MuData,
    *,
    batch_key: str | None = None,
    held_out: tuple[str, str] | None = None,
    checkpoint: Checkpoint | None = None,
    start: str | None = None,
    save: str | Path | None = None,
    layer: str | None = None,
    max_length: int | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    seed: int | None = None,
    params: Changes | None = None,
    key_added: str = WORD,
    copy: bool = False,
) -> mudata.MuData | None:
    """Embed cells of which RNA and protein, or RNA and ATAC, were measured; as `scm multiome`.

    Parameters
    ----------
    mdata
        N cells; they need not have every modality.
    batch_key
        Column of `obs` with batches to be taken out.
    held_out
        Column of `obs` and the value there of cells that nothing is learnt from.
    checkpoint
        Trained folder, or model; nothing is trained.
    start
        Checkpoint that the training begins with; ``none``: a new model.
    save
        Folder for the trained model, to be used as `checkpoint` here and by the verb.
    layer, max_length, batch_size, device, seed, params, key_added, copy
        As `tl.embed`.

    Returns
    -------
    MuData or None
        The copy, if one was asked for. Added: ``obsm["X_scm_joint"]``, ``obsm["X_scm_rna"]`` and the
        like (NaN where a cell lacks the modality), ``obsm["scm_imputed_protein"]``,
        ``obs["scm_held_out"]``, ``uns["scm"]``, and of each modality ``var["scm_imputed_error"]``.

    Raises
    ------
    UserError
        Everything that the verb refuses; nothing is added then.

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
    column, value = held_out or (None, None)
    alone(checkpoint, batch_key=batch_key, held_out=held_out, start=start, save=save)
    alone(checkpoint, max_length=max_length)
    with quiet_mudata():
        given: dict[str, Any] = {
            "multiomics.raw": take_modalities(mdata, rna_alone=checkpoint is not None)
        }
    if checkpoint is not None:
        given["multiomics.checkpoint"] = trained_model(checkpoint, MultiomicsModel)
    own = {
        "multiomics.keys.batch_key": batch_key,
        "multiomics.keys.held_out_key": column,
        "multiomics.keys.held_out_value": value,
        "multiomics.backbone.checkpoint": None if start == "none" else start,
        "multiomics.predict.batch_size": batch_size,
        "tokenization.max_length": max_length,
    }
    new = {"multiomics.backbone.checkpoint": None} if start == "none" else {}
    asked = changes(own, layer, device, seed, new | dict(params or {}))
    wanted = ("multiomics.joint",) + (() if save is None else ("multiomics.model",))
    name = "multiomics" if checkpoint is None else "multiomics_predict"
    told = run_in_memory(name, wanted, given, asked, "tl.multiome")
    if save is not None:
        told["multiomics.model"].save_pretrained(save)
    with quiet_mudata():
        return returned(mdata, told["multiomics.joint"], key_added, copy)
