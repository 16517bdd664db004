"""A model that has learnt nothing starts at principal components: paths, norm, decoder.

Legend: N cells, V vocabulary, D width of the backbone, E width of the cell embedding, K batches.
"""

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from sc_mamba2.model import Backbone
from sc_mamba2.pipelines.batch_correction.batches import BATCH, batch_codes
from sc_mamba2.pipelines.batch_correction.head import BatchCorrectionModel
from sc_mamba2.pipelines.batch_correction.params import HeadParams, LossParams
from sc_mamba2.tokens import TokenizedCells, Tokenizer, as_matrix
from sc_mamba2.training import seed_everything
from sc_mamba2.training.gene_start import singular_vectors


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


def components(
    values_NV: sparse.csr_matrix, codes_N: np.ndarray, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Compute principal components of values from which the mean of each batch is taken.

    Parameters
    ----------
    values_NV
        Values, sparse; they are never made dense.
    codes_N
        Batches, 0 to K - 1.
    count
        Components at most.
    seed
        Seed of the vector that the iteration begins with.

    Returns
    -------
    scores_NR, loadings_RV
        ``U S`` and ``V`` of the singular value decomposition, largest first; R is smaller than
        `count` where the values have fewer directions.
    """
    cells, genes = values_NV.shape
    batches = int(codes_N.max()) + 1
    member_KN = sparse.csr_matrix((np.ones(cells), (codes_N, np.arange(cells))), (batches, cells))
    mean_KV = (member_KN @ values_NV).toarray() / member_KN.sum(axis=1).A
    centred = LinearOperator(
        (cells, genes),
        matvec=lambda v: values_NV @ v.ravel() - (mean_KV @ v.ravel())[codes_N],
        rmatvec=lambda u: values_NV.T @ u.ravel() - mean_KV.T @ (member_KN @ u.ravel()),
        dtype=np.float64,
    )
    count = min(count, min(cells, genes) - 1)
    left_NR, values_R, loadings_VR = singular_vectors(centred, count, seed)
    some = values_R > 1e-8 * max(values_R.max(), 1e-300)
    return (left_NR * values_R)[:, some], loadings_VR.T[some]
