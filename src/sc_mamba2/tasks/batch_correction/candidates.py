"""Candidate embeddings (Harmony by every recipe, the trained model), weighted and joined into the result.

N cells, V vocabulary, E width of an embedding.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from anndata import AnnData
from scipy.special import softmax

from sc_mamba2.cells.keys import COUNTS_LAYER
from sc_mamba2.methods.embedding_consensus import consensus_embedding
from sc_mamba2.methods.integration import (
    harmony_candidates,
    harmony_embedding,
    pca_embedding,
    scvi_available,
    scvi_embedding,
)
from sc_mamba2.tasks.batch_correction.label_free import Clusters, agreed_clusters, inner_scores
from sc_mamba2.tasks.batch_correction.mapping import CorrectionMap
from sc_mamba2.tasks.batch_correction.model import BatchCorrectionModel
from sc_mamba2.tasks.batch_correction.params import CandidateParams
from sc_mamba2.tasks.shared.backbone import predict
from sc_mamba2.tasks.shared.batches import BATCH, batch_codes
from sc_mamba2.tasks.shared.params import PredictParams
from sc_mamba2.tasks.shared.progress import training_progress
from sc_mamba2.tokens import TokenizedCells, as_matrix
from sc_mamba2.training import ComputeOptions

Embeddings = dict[str, np.ndarray]
NETWORK, CORRECTED_NETWORK, RESULT = "trained_model", "trained_model_harmony", "result"


class Candidates(NamedTuple):
    """The candidate embeddings of a result.

    Attributes
    ----------
    embeddings
        (N, …) by name: each candidate, and the baselines ``pca`` and ``scvi``.
    without_model
        The result without the trained model's embedding, if there is one.
    scores
        Label-free scores of each embedding and of the ``result``, see `inner_scores`.
    """

    embeddings: Embeddings
    without_model: np.ndarray | None
    scores: Mapping[str, dict[str, float]]


def combine(
    valid_cells: AnnData,
    tokens: TokenizedCells,
    trained_model: BatchCorrectionModel,
    params: CandidateParams,
    prediction: PredictParams,
    compute: ComputeOptions,
) -> tuple[BatchCorrectionModel, Candidates]:
    """Integrate the cells by every candidate, weight these without labels, and join them.

    Returns
    -------
    model
        A copy with the map that embeds cells of these batches like the result.
    candidates
        See `Candidates`.
    """
    model, seed = trained_model, compute.seed
    values_NV = as_matrix(tokens, model.tokenizer.vocabulary.size)
    values_NV = values_NV.astype(np.float32)
    codes_N = batch_codes(tokens.obs[BATCH], model.batches)
    overall_G, within_G = (np.flatnonzero(chosen) for chosen in model.chosen_2V.numpy())
    with training_progress("Harmony", unit="run") as on_step:
        parts = values_NV, overall_G, within_G, codes_N, params.components, seed
        found = harmony_candidates(*parts, on_step)
    own = {name: one.corrected_ND for name, one in found.items()}
    network_NE = None
    if model.has_network:
        network_NE = predict(model, tokens, prediction, compute)["embedding"]
        own |= {
            NETWORK: network_NE,
            CORRECTED_NETWORK: harmony_embedding(network_NE, codes_N, seed),
        }
    weights, result_NE, clusters, scores = _join(own, codes_N, params, seed)
    without = None
    if network_NE is not None:
        without = _join({name: own[name] for name in found}, codes_N, params, seed)[1]
    combined = model.copy()
    combined.weights = weights
    combined.map = CorrectionMap.fit(
        list(found.values()), network_NE, result_NE, values_NV, codes_N
    )
    simple = {"pca": pca_embedding(values_NV[:, overall_G], params.components, seed)}
    if scvi_available() and COUNTS_LAYER in valid_cells.layers:
        genes_G = np.asarray(model.tokenizer.vocabulary.ids, dtype=object)[overall_G]
        counts_NG = valid_cells[:, list(genes_G)].layers[COUNTS_LAYER]
        simple["scvi"] = scvi_embedding(counts_NG, codes_N, params.components, seed)
    for name, embedding in {**simple, RESULT: result_NE}.items():
        scores[name] = inner_scores(embedding, codes_N, clusters, seed)
    return combined, Candidates(simple | own, without, scores)


def _join(
    candidates: Embeddings, codes_N: np.ndarray, params: CandidateParams, seed: int
) -> tuple[dict[str, float], np.ndarray, Clusters, dict[str, dict[str, float]]]:
    """Weight and join the candidates, and correct the remaining batch effects by Harmony."""
    clusters = agreed_clusters(candidates.values(), codes_N, seed)
    scores = {name: inner_scores(own, codes_N, clusters, seed) for name, own in candidates.items()}
    inner_M = np.asarray([own.get("inner", 0.0) for own in scores.values()])
    weights_M = softmax(inner_M / params.temperature)
    joined = consensus_embedding(list(candidates.values()), weights_M, params.width, seed)
    weights = dict(zip(candidates, weights_M.tolist(), strict=True))
    return weights, harmony_embedding(joined, codes_N, seed), clusters, scores
