"""A model that has learnt nothing starts at principal components: paths, norm, decoder.

Legend: N cells, V vocabulary, D width of the backbone, E width of the cell embedding, K batches.
"""

import numpy as np
import torch
from scipy import sparse

from sc_mamba2.model import Backbone
from sc_mamba2.tasks.batch_correction.model import BatchCorrectionModel
from sc_mamba2.tasks.batch_correction.params import HeadParams, LossParams
from sc_mamba2.tasks.shared.batches import BATCH, batch_codes
from sc_mamba2.tokens import TokenizedCells, Tokenizer, as_matrix
from sc_mamba2.training import seed_everything
from sc_mamba2.training.components import components


def new_model(
    backbone: Backbone,
    tokenizer: Tokenizer,
    tokens: TokenizedCells,
    head: HeadParams,
    objective: LossParams,
    batch_key: str,
    seed: int,
) -> BatchCorrectionModel:
    """Put an untrained head for the batches of some cells on a backbone.

    The pooled path starts as the linear map of the gene embedding that is nearest to the principal
    components of the values, centred by batch; the norm at their moments, by batch; the decoder at
    the components' loadings. So the training begins at "principal components without the batches'
    shifts", whatever the gene embedding is: singular vectors, chance, or a pretrained one.

    Parameters
    ----------
    backbone, tokenizer
        The trunk and gene embedding, and what made the tokens.
    tokens
        Training cells, with ``obs["batch"]``.
    head, objective, batch_key
        See `BatchCorrectionModel`.
    seed
        Seed of what starts by chance.
    """
    seed_everything(seed)
    names = tuple(sorted(set(tokens.obs[BATCH])))
    model = BatchCorrectionModel(backbone, tokenizer, names, head, objective, batch_key)
    codes_N = batch_codes(tokens.obs[BATCH], names)
    values_NV = as_matrix(tokens, tokenizer.vocabulary.size)
    mean_V = np.asarray(values_NV.mean(axis=0)).ravel()
    variance_V = np.asarray(values_NV.power(2).mean(axis=0)).ravel() - mean_V**2
    with torch.no_grad():
        model.gene_variance.fill_(max(float(variance_V.mean()), 1e-8))
        model.decoder.bias.copy_(torch.from_numpy(mean_V))
        if "pooled" in head.paths:
            _start_at_components(model, values_NV, codes_N, seed)
    return model


def _start_at_components(
    model: BatchCorrectionModel, values_NV: sparse.csr_matrix, codes_N: np.ndarray, seed: int
) -> None:
    scores_NR, loadings_RV = components(values_NV, codes_N, model.head.width, seed)
    if not scores_NR.size:
        return
    found = scores_NR.shape[1]
    pooled_ND = values_NV @ model.backbone.gene_embedding.weight.double().numpy()
    batch_NK = np.eye(len(model.batches))[codes_N]
    solved = np.linalg.lstsq(np.hstack([pooled_ND, batch_NK]), scores_NR, rcond=None)[0]
    # One number for all components: their relative sizes are what tells signal from noise.
    scale = 1 / max(float(np.sqrt((scores_NR**2).mean())), 1e-12)
    projection_RD = (solved[: pooled_ND.shape[1]] * scale).T
    model.pooled_projection.weight.zero_()
    model.pooled_projection.weight[:found] = torch.from_numpy(projection_RD).float()
    model.decoder.weight.zero_()
    model.decoder.weight[:, :found] = torch.from_numpy(loadings_RV.T / scale).float()
    embedded_NE = torch.from_numpy(pooled_ND).float() @ model.pooled_projection.weight.T
    domains_N = torch.from_numpy(codes_N if model.head.domain_norm else np.zeros_like(codes_N))
    model.norm.start(embedded_NE, domains_N)
    weight_R = torch.from_numpy(scores_NR.std(axis=0) * scale).float()
    model.norm.weight.fill_(float(weight_R.min()))
    model.norm.weight[:found] = weight_R
