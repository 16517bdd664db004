"""Nodes of multi-omics up to the model: modalities, parts of the cells, tokens, head, imputers.

Each is thin; what it does stands in the file named after the thing. What comes after the model stands in
`evaluation_nodes`.
"""

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from sc_mamba2.cells.modalities import read_modalities
from sc_mamba2.errors import UserError
from sc_mamba2.model import Backbone
from sc_mamba2.tasks.multiomics.cells import JointCells, standardise_modalities
from sc_mamba2.tasks.multiomics.design import (
    PART,
    TRAINING,
    VALIDATION,
    has,
    known_design,
    make_design,
    read_truth,
)
from sc_mamba2.tasks.multiomics.fitting import complete
from sc_mamba2.tasks.multiomics.initial_embedding import new_model
from sc_mamba2.tasks.multiomics.model import MultiomicsModel
from sc_mamba2.tasks.multiomics.params import (
    FeatureParams,
    HeadParams,
    ImputationParams,
    JointBackboneParams,
    KeyParams,
    LossParams,
    SourceParams,
)
from sc_mamba2.tasks.multiomics.tokens import fit_joint_tokenizer, tokenize_modalities
from sc_mamba2.tasks.shared.params import (
    IngestionParams,
    PredictParams,
    TokenizationParams,
    ValidationParams,
)
from sc_mamba2.tokens import TokenizedCells, Tokenizer
from sc_mamba2.training import ComputeOptions

Raw = dict[str, AnnData]


def read_sources(source: SourceParams) -> Raw:
    """Read the modalities as they are."""
    return read_modalities(list(source.inputs))


def read_known_sources(source: SourceParams) -> Raw:
    """Do as `read_sources` for a trained model, which can do with RNA alone."""
    return read_modalities(list(source.inputs), rna_alone=True)


def standardise(
    raw: Raw, features: FeatureParams, ingestion: IngestionParams, validation: ValidationParams
) -> tuple[JointCells, dict[str, Any]]:
    """Pair the cells and bring every modality into standard form."""
    return standardise_modalities(raw, features, ingestion, validation)


def standardise_known(
    raw: Raw, model: MultiomicsModel, ingestion: IngestionParams, validation: ValidationParams
) -> tuple[JointCells, dict[str, Any]]:
    """Do as `standardise`, with features as a trained model has them.

    Raises
    ------
    UserError
        Rule ``modality-unlearnt``, beside those of `standardise`.
    """
    strange = [kind for kind in raw if kind not in model.widths]
    if strange:
        raise UserError(
            "modality-unlearnt",
            found=f"{', '.join(strange)}, which the checkpoint was not trained with",
            expected=f"its modalities: {', '.join(model.widths)}",
            mend="leave it out, or train with all modalities (without --checkpoint)",
        )
    return standardise_modalities(raw, model.features, ingestion, validation)


def lay_out_parts(
    cells: JointCells, keys: KeyParams, compute: ComputeOptions
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Say which part every cell plays; keep the labels, if any, apart."""
    design = make_design(cells.obs, cells.present, keys, compute.seed)
    return design, read_truth(cells.obs, keys.label_key)


def lay_out_known(
    cells: JointCells, model: MultiomicsModel, keys: KeyParams
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Do as `lay_out_parts` for cells that a trained model reads: it has learnt from none of them."""
    design = known_design(cells.obs, cells.present, model.batch_key, model.batches)
    for kind in model.widths:
        design[has(kind)] = design.get(has(kind), False)
    return design, read_truth(cells.obs, keys.label_key)


def fit_tokenizer(
    cells: JointCells,
    design: pd.DataFrame,
    tokenization: TokenizationParams,
    backbone: JointBackboneParams,
    features: FeatureParams,
) -> tuple[Tokenizer, np.ndarray, Tokenizer, np.ndarray]:
    """Give every feature a row; see `JointTokenizer` for what is returned."""
    found = fit_joint_tokenizer(cells, design, tokenization, backbone, features)
    return found.joint, found.weight_V, found.trunk, found.twins


def read_tokenizer(model: MultiomicsModel) -> tuple[Tokenizer, np.ndarray]:
    """Return the tokenizer and the weights that a trained model carries."""
    return model.tokenizer, model.weight_V.numpy()


def tokenize(
    cells: JointCells,
    design: pd.DataFrame,
    tokenizer: Tokenizer,
    weights: np.ndarray,
    features: FeatureParams,
) -> TokenizedCells:
    """Turn cells into one sequence of tokens each."""
    return tokenize_modalities(cells, design, tokenizer, weights, features)


def tokenize_known(
    cells: JointCells,
    design: pd.DataFrame,
    tokenizer: Tokenizer,
    weights: np.ndarray,
    model: MultiomicsModel,
) -> TokenizedCells:
    """Do as `tokenize`, with features as a trained model has them."""
    return tokenize_modalities(cells, design, tokenizer, weights, model.features)


def split_tokens(
    tokens: TokenizedCells, trunk_tokenizer: Tokenizer
) -> tuple[TokenizedCells, TokenizedCells, TokenizedCells]:
    """Split the tokens by part; the third are the training cells' genes that the backbone starts from."""
    part = tokens.obs[PART]
    training = tokens.take((part == TRAINING).to_numpy())
    genes = training.keep(training.gene_rows < trunk_tokenizer.vocabulary.size)
    return training, tokens.take((part == VALIDATION).to_numpy()), genes


def attach_head(
    backbone: Backbone,
    tokenizer: Tokenizer,
    weights: np.ndarray,
    twins: np.ndarray,
    training_tokens: TokenizedCells,
    head: HeadParams,
    objective: LossParams,
    features: FeatureParams,
    keys: KeyParams,
    compute: ComputeOptions,
) -> MultiomicsModel:
    """Grow the backbone to all modalities and put an untrained head on it."""
    return new_model(
        backbone,
        tokenizer,
        weights,
        twins,
        training_tokens,
        head,
        objective,
        features,
        keys.batch_key,
        compute.seed,
    )


def fit_imputers(
    fitted_model: MultiomicsModel,
    training_tokens: TokenizedCells,
    validation_tokens: TokenizedCells,
    params: ImputationParams,
    prediction: PredictParams,
    compute: ComputeOptions,
) -> MultiomicsModel:
    """Fit what tells each modality from the others; see `complete`."""
    return complete(fitted_model, training_tokens, validation_tokens, params, prediction, compute)
