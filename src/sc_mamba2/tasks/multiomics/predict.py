"""From what the model tells to the user's modalities with it, as one MuData."""

from pathlib import Path
from typing import Any

import anndata as ad
import mudata
import numpy as np
import pandas as pd

from sc_mamba2.cells import keys
from sc_mamba2.cells.modalities.kinds import modality_of_name
from sc_mamba2.cells.modalities.opening import quiet_mudata, read_mudata
from sc_mamba2.tasks.multiomics.design import HELD_OUT, PART


def as_mudata(raw: dict[str, ad.AnnData], inputs: tuple[str, ...]) -> mudata.MuData:
    """Return the user's modalities as one object: the MuData file itself where there was one."""
    if len(inputs) == 1 and Path(inputs[0]).suffix == ".h5mu":
        return read_mudata(Path(inputs[0]))
    with quiet_mudata():
        return mudata.MuData({kind: cells.copy() for kind, cells in raw.items()})


def write_results(
    together: mudata.MuData,
    cells: pd.Index,
    outputs: dict[str, np.ndarray],
    features: dict[str, list[str]],
    errors: dict[str, np.ndarray],
    design: pd.DataFrame,
    facts: dict[str, Any],
    most_features: int,
) -> mudata.MuData:
    """Add embeddings, imputed values, their errors and facts, in place, and return the object.

    ``obsm["X_scm_joint"]``, ``obsm["X_scm_rna"]`` and so on: NaN where a cell lacks the modality.
    ``obsm["scm_imputed_protein"]``: a column a feature, told from the other modalities alone; NaN where a
    cell has none of these. ``obs["scm_held_out"]``: cells that nothing was learnt from. Of each modality
    ``var["scm_imputed_error"]``: the root mean square error of what is told of it, on validation cells.

    Parameters
    ----------
    together
        The user's modalities.
    cells, outputs
        Names of N cells; what the model tells of them, N rows each.
    features, errors
        Names of a modality's features, as given, and their errors.
    design
        N rows.
    facts
        Goes to ``uns["scm"]``.
    most_features
        A modality of more features is not written as imputed.
    """
    rows = cells.get_indexer(together.obs_names)
    known = rows >= 0

    def spread(own: np.ndarray) -> np.ndarray:
        whole = np.full((len(rows), own.shape[1]), np.nan, dtype=np.float32)
        whole[known] = own[rows[known]]
        return whole

    together.obsm[keys.JOINT] = spread(outputs["joint"])
    names = {modality_of_name(name) or name: name for name in together.mod}
    for kind, own in features.items():
        together.obsm[f"{keys.EMBEDDING}_{kind}"] = spread(outputs[f"embedding_{kind}"])
        told = outputs.get(f"imputed_{kind}")
        if told is None:
            continue
        if len(own) <= most_features:
            table = pd.DataFrame(spread(told), index=together.obs_names, columns=own)
            together.obsm[f"{keys.IMPUTED}_{kind}"] = table
        if kind in names:
            var = together.mod[names[kind]].var
            found = pd.Series(errors[kind], index=own).reindex(var.index.astype(str))
            var[keys.IMPUTED_ERROR] = found.to_numpy(np.float32)
    held_out = np.zeros(len(rows), dtype=bool)
    held_out[known] = (design[PART] == HELD_OUT).to_numpy()[rows[known]]
    together.obs[keys.HELD_OUT] = held_out
    together.uns[keys.FACTS] = facts
    return together
