"""After the training: the norm settles, the imputers are fitted, their errors are taken.

Legend as in `head`; N cells.
"""

import numpy as np
import torch
from scipy import sparse

from sc_mamba2.methods.kernel_ridge import fit_imputer
from sc_mamba2.tasks.multiomics.design import has
from sc_mamba2.tasks.multiomics.initial_embedding import settle_norm
from sc_mamba2.tasks.multiomics.model import MultiomicsModel
from sc_mamba2.tasks.multiomics.params import ImputationParams
from sc_mamba2.tasks.multiomics.views import imputation_inputs
from sc_mamba2.tasks.shared.params import PredictParams
from sc_mamba2.tokens import KINDS, TokenizedCells, as_matrix
from sc_mamba2.training import ComputeOptions, choose_device, run_over_cells

MOST_READOUT = 20_000_000  # numbers of a readout: vocabulary times features


def complete(
    model: MultiomicsModel,
    training: TokenizedCells,
    validation: TokenizedCells,
    params: ImputationParams,
    prediction: PredictParams,
    compute: ComputeOptions,
) -> MultiomicsModel:
    """Settle the norm, fit an imputer for every modality that is not too wide, take the errors.

    The error of a feature is the root mean square of what is told of the validation cells, which no
    imputer was fitted to.
    """
    settle_norm(model, _some(training, np.arange(len(training)), params, compute))
    for kind in model.widths:
        if len(model.rows_of(kind)) <= params.most_features:
            _fit_one(model, kind, training, params, prediction, compute)
    device = choose_device(compute.device)
    model.to(device).eval()
    vocabulary = model.tokenizer.vocabulary
    told = run_over_cells(
        model.predictor(validation.obs), validation, vocabulary, prediction.batch_size, device
    )
    for kind in model.widths:
        if f"imputed_{kind}" in told:
            rows = model.rows_of(kind)
            actual = as_matrix(validation, vocabulary.size)[:, rows.cpu().numpy()].toarray()
            have = validation.obs[has(kind)].to_numpy(bool)
            squares = np.square(told[f"imputed_{kind}"] - actual)[have]
            error_P = (
                np.sqrt(np.nanmean(squares, axis=0)) if have.any() else np.full(len(rows), np.nan)
            )
            model.error_V[rows] = torch.from_numpy(np.nan_to_num(error_P)).to(model.error_V)
    return model.cpu().eval()


def _fit_one(
    model: MultiomicsModel,
    kind: str,
    tokens: TokenizedCells,
    params: ImputationParams,
    prediction: PredictParams,
    compute: ComputeOptions,
) -> None:
    others = [other for other in model.widths if other != kind]
    usable = tokens.obs[has(kind)].to_numpy(bool)
    usable &= tokens.obs[[has(other) for other in others]].any(axis=1).to_numpy()
    some = _some(tokens, np.flatnonzero(usable), params, compute)
    vocabulary = model.tokenizer.vocabulary
    device = choose_device(compute.device)
    numbers = run_over_cells(
        imputation_inputs(model.to(device).eval(), kind, some.obs),
        some,
        vocabulary,
        prediction.batch_size,
        device,
    )
    model.cpu()
    values_NV = as_matrix(some, vocabulary.size)
    rows = model.rows_of(kind).numpy()
    kind_V = model.kind_V.numpy()
    source = np.flatnonzero(np.isin(kind_V, [KINDS.index(other) for other in others]))
    imputer = model.add_imputer(kind, len(some))
    reads = "pooled" in model.head.paths and vocabulary.size * len(rows) <= MOST_READOUT
    columns = source if reads else source[:0]
    parts = [part.astype(np.float64) for part in numbers.values()]
    if "pooled" not in model.head.paths:
        parts = parts[1:]
    found = fit_imputer(
        sparse.csr_matrix(values_NV[:, columns]),
        parts,
        values_NV[:, rows].toarray(),
        params,
        compute.seed,
    )
    scale_F = found.scale_F
    if "pooled" not in model.head.paths:
        scale_F = np.concatenate([np.zeros(model.width), scale_F])
    with torch.no_grad():
        if reads:
            imputer.readout_VP[torch.from_numpy(columns)] = _float(found.readout_SP)
        imputer.weight_AP.copy_(_float(found.weight_NP))
        imputer.bias_P.copy_(_float(found.bias_P))
        imputer.scale_F.copy_(_float(scale_F))
        imputer.curvature.fill_(found.curvature)
        imputer.anchor_AF.copy_(_float(np.concatenate(list(numbers.values()), axis=1)))


def _some(
    tokens: TokenizedCells, cells: np.ndarray, params: ImputationParams, compute: ComputeOptions
) -> TokenizedCells:
    """Take these cells, by chance some of them where they are many."""
    if len(cells) > params.most_cells:
        generator = np.random.default_rng(compute.seed)
        cells = np.sort(generator.choice(cells, params.most_cells, replace=False))
    return tokens.take(cells)


def _float(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).float()
