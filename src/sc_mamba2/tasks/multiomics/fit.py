"""Tokens and the untrained model before training, and the imputers after it.

Legend as in `model`; N cells.
"""

import copy

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from torch import Tensor

from sc_mamba2.methods.kernel_ridge import fit_kernel_ridge
from sc_mamba2.tasks.multiomics.cells import (
    PART,
    TRAINING,
    VALIDATION,
    JointCells,
    has,
    make_design,
    read_truth,
)
from sc_mamba2.tasks.multiomics.initial_embedding import as_float, new_model, set_moments
from sc_mamba2.tasks.multiomics.model import MultiomicsModel
from sc_mamba2.tasks.multiomics.params import (
    FeatureParams,
    HeadParams,
    ImputationParams,
    JointBackboneParams,
    KeyParams,
    LossParams,
)
from sc_mamba2.tasks.multiomics.tokens import fit_joint_tokenizer, tokenize_modalities
from sc_mamba2.tasks.shared.backbone import load_or_build_backbone, predict
from sc_mamba2.tasks.shared.params import PredictParams, TokenizationParams
from sc_mamba2.tokens import KINDS, Batch, TokenizedCells, as_matrix
from sc_mamba2.training import ComputeOptions, choose_device, run_over_cells

MAX_READOUT_ENTRIES = 20_000_000  # entries of a readout: vocabulary times features


def prepare(
    cells: JointCells,
    keys: KeyParams,
    tokenization: TokenizationParams,
    backbone: JointBackboneParams,
    features: FeatureParams,
    head: HeadParams,
    objective: LossParams,
    compute: ComputeOptions,
) -> tuple[MultiomicsModel, TokenizedCells, TokenizedCells, TokenizedCells, pd.DataFrame]:
    """Split and tokenize the cells, and build the untrained model.

    Returns
    -------
    untrained_model
        See `new_model`.
    tokens, training_tokens, validation_tokens
        Tokens of all cells, with their design as `obs` (see `make_design`), and of two parts of them.
    truth
        Labels, for scores and figures only.
    """
    design = make_design(cells.obs, cells.present, keys, compute.seed)
    tokenizer = fit_joint_tokenizer(cells, design, tokenization, backbone)
    tokens = tokenize_modalities(cells, design, tokenizer.joint, tokenizer.weight_V, features)
    training = tokens.take((design[PART] == TRAINING).to_numpy())
    validation = tokens.take((design[PART] == VALIDATION).to_numpy())
    genes = training.keep(training.gene_rows < tokenizer.trunk.vocabulary.size)
    model = new_model(
        load_or_build_backbone(tokenizer.trunk, genes, backbone, compute),
        tokenizer.joint,
        tokenizer.weight_V,
        tokenizer.twins,
        training,
        head,
        objective,
        features,
        keys.batch_key,
        compute.seed,
    )
    return model, tokens, training, validation, read_truth(cells.obs, keys)


def fit_imputers(
    fitted_model: MultiomicsModel,
    training_tokens: TokenizedCells,
    validation_tokens: TokenizedCells,
    params: ImputationParams,
    prediction: PredictParams,
    compute: ComputeOptions,
) -> MultiomicsModel:
    """Set the norm's moments, fit the imputers, and measure their errors; return a copy on the CPU.

    Modalities of more than `most_features` get no imputer. The error of a feature is its root mean square
    error on the validation cells, to which no imputer was fitted.
    """
    model = copy.deepcopy(fitted_model)
    every = np.arange(len(training_tokens))
    set_moments(model, _sample(training_tokens, every, params, compute))
    for kind in model.widths:
        if len(model.rows_of(kind)) <= params.most_features:
            _fit_imputer(model, kind, training_tokens, params, prediction, compute)
    outputs = predict(model, validation_tokens, prediction, compute)
    values_NV = as_matrix(validation_tokens, model.tokenizer.vocabulary.size)
    for kind in model.widths:
        if f"imputed_{kind}" in outputs:
            rows = model.rows_of(kind)
            actual = values_NV[:, rows.cpu().numpy()].toarray()
            have = validation_tokens.obs[has(kind)].to_numpy(bool)
            squares = np.square(outputs[f"imputed_{kind}"] - actual)[have]
            error_P = (
                np.sqrt(np.nanmean(squares, axis=0)) if have.any() else np.full(len(rows), np.nan)
            )
            model.error_V[rows] = torch.from_numpy(np.nan_to_num(error_P)).to(model.error_V)
    return model.cpu().eval()


def _fit_imputer(
    model: MultiomicsModel,
    kind: str,
    tokens: TokenizedCells,
    params: ImputationParams,
    prediction: PredictParams,
    compute: ComputeOptions,
) -> None:
    others, vocabulary = model.others(kind), model.tokenizer.vocabulary
    any_other = tokens.obs[[has(other) for other in others]].any(axis=1)
    usable = np.flatnonzero(tokens.obs[has(kind)] & any_other)
    some = _sample(tokens, usable, params, compute)
    device = choose_device(compute.device)
    codes = model.to(device).eval().targets(some.obs)["batch_B"]

    def seen(batch: Batch) -> dict[str, Tensor]:
        batch_B = codes.to(device)[batch.cells_B]
        cell_BE, states_BD = model.embed(model.view(batch, others), batch_B)
        return {"cell": cell_BE} | ({} if states_BD is None else {"state": states_BD})

    numbers = run_over_cells(seen, some, vocabulary, prediction.batch_size, device)
    model.cpu()
    values_NV, rows = as_matrix(some, vocabulary.size), model.rows_of(kind).numpy()
    pooled = "pooled" in model.head.paths
    reads = pooled and vocabulary.size * len(rows) <= MAX_READOUT_ENTRIES
    source = np.isin(model.kind_V.numpy(), [KINDS.index(other) for other in others])
    columns = np.flatnonzero(source) if reads else np.zeros(0, dtype=np.int64)
    parts = [part.astype(np.float64) for part in numbers.values()]
    fit = fit_kernel_ridge(
        sparse.csr_matrix(values_NV[:, columns]),
        parts if pooled else parts[1:],
        values_NV[:, rows].toarray(),
        params.shares,
        params.curvatures,
        params.strengths,
        params.folds,
        compute.seed,
    )
    scale_F = fit.scale_F if pooled else np.concatenate([np.zeros(model.width), fit.scale_F])
    imputer = model.add_imputer(kind, len(some))
    with torch.no_grad():
        if reads:
            imputer.readout_VP[torch.from_numpy(columns)] = as_float(fit.readout_SP)
        imputer.weight_AP.copy_(as_float(fit.weight_NP))
        imputer.bias_P.copy_(as_float(fit.bias_P))
        imputer.scale_F.copy_(as_float(scale_F))
        imputer.curvature.fill_(fit.curvature)
        imputer.anchor_AF.copy_(as_float(np.concatenate(list(numbers.values()), axis=1)))


def _sample(
    tokens: TokenizedCells, cells: np.ndarray, params: ImputationParams, compute: ComputeOptions
) -> TokenizedCells:
    """Return these cells, or a random sample of `most_cells` of them."""
    if len(cells) > params.most_cells:
        generator = np.random.default_rng(compute.seed)
        cells = np.sort(generator.choice(cells, params.most_cells, replace=False))
    return tokens.take(cells)
