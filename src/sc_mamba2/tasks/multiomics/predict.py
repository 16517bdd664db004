"""Prepare cells for a trained model, and write its outputs into the user's MuData."""

from typing import Any

import mudata
import numpy as np
import pandas as pd
from anndata import AnnData

from sc_mamba2.cells import keys as written
from sc_mamba2.cells.features import parse_places
from sc_mamba2.cells.gene_columns import column_ids
from sc_mamba2.cells.modalities.kinds import PROTEIN, RNA, modality_of_name
from sc_mamba2.cells.modalities.opening import quiet_mudata
from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table
from sc_mamba2.tasks.multiomics.cells import (
    HELD_OUT,
    PART,
    JointCells,
    has,
    known_design,
    open_sources,
    read_truth,
    standardise_modalities,
)
from sc_mamba2.tasks.multiomics.model import MultiomicsModel
from sc_mamba2.tasks.multiomics.params import KeyParams, OutputParams, SourceParams
from sc_mamba2.tasks.multiomics.tokens import tokenize_modalities
from sc_mamba2.tasks.shared.coverage import add_coverage
from sc_mamba2.tasks.shared.facts import output_facts
from sc_mamba2.tasks.shared.params import IngestionParams, ValidationParams
from sc_mamba2.tokens import TokenizedCells


def read_known_sources(
    source: SourceParams,
    model: MultiomicsModel,
    ingestion: IngestionParams,
    validation: ValidationParams,
) -> tuple[mudata.MuData, JointCells, dict[str, Any]]:
    """Read the modalities for a trained model, for which RNA suffices; see `read_sources`."""
    mdata, raw = open_sources(source.inputs, rna_alone=True)
    return mdata, *standardise_known(raw, model, ingestion, validation)


def standardise_known(
    raw: dict[str, AnnData],
    model: MultiomicsModel,
    ingestion: IngestionParams,
    validation: ValidationParams,
) -> tuple[JointCells, dict[str, Any]]:
    """Standardise modalities with a trained model's features; see `standardise_modalities`.

    Raises
    ------
    UserError
        Rules ``modality-unlearnt`` and ``model-genes``, and those of `standardise_modalities`.
    """
    unknown = [kind for kind in raw if kind not in model.widths]
    if unknown:
        raise UserError(
            "modality-unlearnt",
            found=f"{', '.join(unknown)}, which the checkpoint was not trained with",
            expected=f"its modalities: {', '.join(model.widths)}",
            mend="remove it, or train with all modalities (without --checkpoint)",
        )
    cells, report = standardise_modalities(raw, model.features, ingestion, validation)
    return cells, add_coverage(model, cells.modalities[RNA], report, validation)


def prepare_known(
    cells: JointCells, model: MultiomicsModel, keys: KeyParams
) -> tuple[TokenizedCells, pd.DataFrame]:
    """Return tokens of cells for a trained model, all marked as held out, and their labels."""
    design = known_design(cells.obs, cells.present, model.batch_key, model.batches)
    for kind in model.widths:
        design[has(kind)] = design.get(has(kind), False)
    weight_V = model.weight_V.numpy()
    tokens = tokenize_modalities(cells, design, model.tokenizer, weight_V, model.features)
    return tokens, read_truth(cells.obs, keys)


def names_of_features(kind: str, var: pd.DataFrame) -> pd.Index:
    """Return the vocabulary's names of a user's features, without the modality; "" if unknown."""
    if kind == RNA:
        return pd.Index(column_ids(var, load_gene_table()))
    if kind == PROTEIN:
        return var.index.astype(str)
    places = parse_places(var.index)
    named = places["chrom"] + ":" + places["start"] + "-" + places["end"]
    return pd.Index(named.fillna(""))


def write_joint(
    mdata: mudata.MuData,
    tokens: TokenizedCells,
    outputs: dict[str, np.ndarray],
    model: MultiomicsModel,
    report: dict[str, Any],
    run_info: dict[str, Any],
    params: OutputParams,
) -> mudata.MuData:
    """Return a copy of the user's modalities with embeddings, imputed values, their errors and facts.

    ``obsm["X_scm_joint"]``, ``obsm["X_scm_rna"]`` and so on: NaN if a cell lacks the modality.
    ``obsm["scm_imputed_protein"]``: one column a feature, from the other modalities only; NaN if a cell has
    none of these. ``obs["scm_held_out"]``: cells that were not trained on. In each modality
    ``var["scm_imputed_error"]``: root mean square error of the imputation on validation cells.
    """
    with quiet_mudata():
        joint = mdata.copy()
    rows = tokens.obs.index.get_indexer(joint.obs_names)
    known = rows >= 0

    def spread(own: np.ndarray) -> np.ndarray:
        whole = np.full((len(rows), own.shape[1]), np.nan, dtype=np.float32)
        whole[known] = own[rows[known]]
        return whole

    joint.obsm[written.JOINT] = spread(outputs["joint"])
    names = {modality_of_name(name) or name: name for name in joint.mod}
    ids = np.asarray(model.tokenizer.vocabulary.ids, dtype=object)
    for kind in model.widths:
        joint.obsm[f"{written.EMBEDDING}_{kind}"] = spread(outputs[f"embedding_{kind}"])
        imputed = outputs.get(f"imputed_{kind}")
        if imputed is None:
            continue
        own = model.rows_of(kind).numpy()
        features = [str(ident).partition(":")[2] or str(ident) for ident in ids[own]]
        if len(own) <= params.most_features:
            table = pd.DataFrame(spread(imputed), index=joint.obs_names, columns=features)
            joint.obsm[f"{written.IMPUTED}_{kind}"] = table
        if kind in names:
            var = joint.mod[names[kind]].var
            errors = pd.Series(model.error_V[own].numpy(), index=features)
            errors = errors.reindex(names_of_features(kind, var))
            var[written.IMPUTED_ERROR] = errors.to_numpy(np.float32)
    held_out = np.zeros(len(rows), dtype=bool)
    held_out[known] = (tokens.obs[PART] == HELD_OUT).to_numpy()[rows[known]]
    joint.obs[written.HELD_OUT] = held_out
    identity = (model.sha256(), model.tokenizer.vocabulary.sha256)
    joint.uns[written.FACTS] = output_facts(run_info, report, *identity) | {
        "modalities": np.asarray(list(model.widths), dtype=object),
        "batch_key": model.batch_key or "",
    }
    return joint
