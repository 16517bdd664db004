"""The untrained model and its tokens: batches, labels, the validation split, initial weights.

Legend: N cells, V vocabulary, D width of the backbone, E width of the cell embedding, K batches.
"""

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from scipy import sparse

from sc_mamba2.cells import read_labels
from sc_mamba2.model import Backbone
from sc_mamba2.tasks.batch_correction.model import BatchCorrectionModel
from sc_mamba2.tasks.batch_correction.params import (
    AblationParams,
    HeadParams,
    KeyParams,
    LossParams,
)
from sc_mamba2.tasks.shared.backbone import load_or_build_backbone
from sc_mamba2.tasks.shared.batches import BATCH, batch_codes, read_batches, sample_each
from sc_mamba2.tasks.shared.params import BackboneParams, TokenizationParams
from sc_mamba2.tasks.shared.tokenization import (
    choose_genes,
    fit_tokenizer,
    source_vocabulary,
    tokenize_cells,
)
from sc_mamba2.tokens import TokenizedCells, Tokenizer, as_matrix
from sc_mamba2.training import ComputeOptions, seed_everything
from sc_mamba2.training.components import components

LABEL = "label"


def prepare(
    valid_cells: AnnData,
    keys: KeyParams,
    tokenization: TokenizationParams,
    backbone: BackboneParams,
    head: HeadParams,
    objective: LossParams,
    ablations: AblationParams,
    compute: ComputeOptions,
) -> tuple[BatchCorrectionModel, TokenizedCells, TokenizedCells, TokenizedCells, pd.DataFrame]:
    """Read the batches, make the tokens, and build the model that will be fitted.

    With a pretrained checkpoint or ablations a network is trained.

    Returns
    -------
    untrained_model
        Knows the batches of the training cells.
    tokens, training_tokens, validation_tokens
        Tokens of all cells and of the two parts; their table has only the batch.
    truth
        See `separate_truth`; for scores and figures only.
    """
    cells, truth = separate_truth(valid_cells, read_batches(valid_cells.obs, keys.batch_key), keys)
    if backbone.checkpoint is not None or ablations.names:
        head = head.model_copy(update={"fit": "gradient"})
    if head.fit == "harmony":  # the gene embedding is not used
        backbone = backbone.model_copy(update={"gene_start": "random"})
    source, pretrained = source_vocabulary(tokenization.vocabulary)
    genes, own = tokenization.variable_genes, (source, tokenization.variable_genes)
    overall = choose_genes(cells, cells, *own, pretrained=pretrained)
    # Genes that vary within batches, not those that differ between batches.
    tokenizer = fit_tokenizer(cells, cells, tokenization, batch_key=BATCH, always=overall)
    within = overall if genes is None else choose_genes(cells, cells, *own, BATCH)
    tokens = tokenize_cells(cells, tokenizer)
    training, validation = split_validation(tokens, keys.validation_share, compute.seed)
    trunk = load_or_build_backbone(tokenizer, training, backbone, compute)
    parts = (trunk, tokenizer, training, head, objective, keys.batch_key, compute.seed)
    model = new_model(*parts)
    for chosen_V, names in zip(model.chosen_2V, (overall, within), strict=True):
        chosen_V[torch.from_numpy(tokenizer.vocabulary.rows_of(names))] = True
    return model, tokens, training, validation, truth


def separate_truth(
    valid_cells: AnnData, batches: pd.Series, keys: KeyParams
) -> tuple[AnnData, pd.DataFrame]:
    """Return the cells with only their batch, and a separate table with ``batch`` and ``label``.

    The label is ``None`` if a cell has none, or no column is named.
    """
    labels = None
    if keys.label_key is not None:
        labels = read_labels(valid_cells.obs, keys.label_key, keys.keep_absence_words)
    index = valid_cells.obs_names
    truth = pd.DataFrame({BATCH: batches, LABEL: labels}, index=index, dtype=object)
    return AnnData(valid_cells.X, obs=batches.to_frame(BATCH), var=valid_cells.var), truth


def split_validation(
    tokens: TokenizedCells, share: float, seed: int
) -> tuple[TokenizedCells, TokenizedCells]:
    """Split the cells of every batch into training and validation cells."""
    chosen = sample_each(tokens.obs[BATCH], share, np.random.default_rng(seed), fewest=2)
    return tokens.take(~chosen), tokens.take(chosen)


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

    The pooled branch of a network starts as the linear map of the gene embedding that best fits the
    principal components of the values, centred by batch; the norm at their moments by batch; the decoder
    at the components' loadings. Training thus starts at principal components without batch shifts, for
    any gene embedding: singular vectors, random, or pretrained.

    Parameters
    ----------
    backbone, tokenizer
        The trunk and gene embedding, and the tokenizer of the tokens.
    tokens
        Training cells, with ``obs["batch"]``.
    head, objective, batch_key
        See `BatchCorrectionModel`.
    """
    seed_everything(seed)
    names = tuple(sorted(set(tokens.obs[BATCH])))
    model = BatchCorrectionModel(backbone, tokenizer, names, head, objective, batch_key)
    if not model.has_network:
        return model
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
    rank = scores_NR.shape[1]
    pooled_ND = values_NV @ model.backbone.gene_embedding.weight.double().numpy()
    batch_NK = np.eye(len(model.batches))[codes_N]
    solved = np.linalg.lstsq(np.hstack([pooled_ND, batch_NK]), scores_NR, rcond=None)[0]
    # One scale for all components: their relative sizes separate signal from noise.
    scale = 1 / max(float(np.sqrt((scores_NR**2).mean())), 1e-12)
    projection_RD = (solved[: pooled_ND.shape[1]] * scale).T
    model.pooled_projection.weight.zero_()
    model.pooled_projection.weight[:rank] = torch.from_numpy(projection_RD).float()
    model.decoder.weight.zero_()
    model.decoder.weight[:, :rank] = torch.from_numpy(loadings_RV.T / scale).float()
    embedded_NE = torch.from_numpy(pooled_ND).float() @ model.pooled_projection.weight.T
    domains_N = torch.from_numpy(codes_N if model.head.domain_norm else np.zeros_like(codes_N))
    model.norm.start(embedded_NE, domains_N)
    weight_R = torch.from_numpy(scores_NR.std(axis=0) * scale).float()
    model.norm.weight.fill_(float(weight_R.min()))
    model.norm.weight[:rank] = weight_R
