"""Baselines and ablations: simple methods, totalVI, variants of the model, shuffled modalities.

Baselines are fitted to all cells that are not scored. N cells, P features.
"""

from dataclasses import dataclass, field
from importlib.util import find_spec

import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData
from scipy import sparse
from sklearn.linear_model import RidgeCV

from sc_mamba2.cells.keys import COUNTS_LAYER
from sc_mamba2.cells.modalities import PROTEIN, RNA
from sc_mamba2.methods.integration import harmony_embedding
from sc_mamba2.methods.logistic_regression import compact
from sc_mamba2.methods.modality_weights import modality_weights, weighted_embedding
from sc_mamba2.tasks.multiomics.cells import JointCells, has, scored_cells
from sc_mamba2.tasks.multiomics.fit import fit_imputers
from sc_mamba2.tasks.multiomics.initial_embedding import new_model
from sc_mamba2.tasks.multiomics.model import MultiomicsModel
from sc_mamba2.tasks.multiomics.params import (
    AblationParams,
    BaselineParams,
    HeadParams,
    ImputationParams,
    JointFitParams,
    LossParams,
    Variant,
)
from sc_mamba2.tasks.multiomics.tokens import modality_values, shuffle_modality
from sc_mamba2.tasks.shared.backbone import fine_tune, predict
from sc_mamba2.tasks.shared.batches import BATCH
from sc_mamba2.tasks.shared.params import PredictParams
from sc_mamba2.tokens import KINDS, TokenizedCells, kinds_of
from sc_mamba2.training import ComputeOptions

Outputs = dict[str, np.ndarray]
Values = dict[str, sparse.csr_matrix]
TOTALVI_WIDTH = 20  # totalVI's own default
_CONCATENATED = "concatenated_pca"
MIN_NEIGHBOURS = 5
MATCHED = 20  # RNA components for matching modalities
_BRANCHES = {"pooled_alone": ("pooled",), "trunk_alone": ("trunk",)}


@dataclass(frozen=True, eq=False)
class Comparison:
    """Outputs of baselines and ablations for the same cells.

    Parameters
    ----------
    embeddings
        (N, …) by baseline.
    ridge
        (N, P) predicted from the other modalities by ridge regression, by modality.
    variants
        Outputs by ablation.
    matched
        By modality: RNA components, and their prediction by ridge from that modality's components.
    shuffled
        The model's joint embedding after shuffling a modality among cells, by modality.
    """

    embeddings: Outputs = field(default_factory=dict)
    ridge: Outputs = field(default_factory=dict)
    variants: dict[str, Outputs] = field(default_factory=dict)
    shuffled: Outputs = field(default_factory=dict)
    matched: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


def compare(
    cells: JointCells,
    tokens: TokenizedCells,
    training_tokens: TokenizedCells,
    validation_tokens: TokenizedCells,
    untrained_model: MultiomicsModel,
    model: MultiomicsModel,
    params: BaselineParams,
    ablations: AblationParams,
    fine_tuning: JointFitParams,
    imputation: ImputationParams,
    prediction: PredictParams,
    compute: ComputeOptions,
) -> Comparison:
    """Run the baselines, the named ablations, and the model on shuffled modalities."""
    vocabulary, design, seed = model.tokenizer.vocabulary, tokens.obs, compute.seed
    values = modality_values(tokens, vocabulary)
    embeddings = baseline_embeddings(values, design, params, seed)
    ids = np.asarray(vocabulary.ids, dtype=object)
    genes = list(ids[kinds_of(vocabulary) == KINDS.index(RNA)])
    totalvi = totalvi_embedding(cells, genes, design, seed)
    if totalvi is not None:
        embeddings["totalvi"] = totalvi
    variants: dict[str, Outputs] = {}
    for name in ablations.names:
        trained = train_variant(
            name,
            untrained_model,
            training_tokens,
            validation_tokens,
            fine_tuning,
            imputation,
            prediction,
            compute,
        )
        variants[name] = predict(trained, tokens, prediction, compute)
    shuffled = {}
    for kind in model.others(RNA):
        moved = shuffle_modality(tokens, kind, vocabulary, seed)
        shuffled[kind] = predict(model, moved, prediction, compute)["joint"]
    ridge = predict_by_ridge(values, design, params, seed)
    matched = match_by_ridge(values, design, params, seed)
    return Comparison(embeddings, ridge, variants, shuffled, matched)


def baseline_embeddings(
    values: Values, design: pd.DataFrame, params: BaselineParams, seed: int
) -> Outputs:
    """Embed the cells by principal components, fitted without the scored cells.

    Returns
    -------
    dict
        ``pca_m`` of every modality, scaled to a total variance of 1; ``concatenated_pca``, all of them side
        by side; with two or more modalities ``weighted_neighbours``, the same weighted for each cell (see
        `modality_weights`); with several batches ``harmony`` on ``concatenated_pca``. A missing modality
        counts as its mean.
    """
    embeddings = {}
    for kind, own in values.items():
        have = design[has(kind)].to_numpy(bool)
        fitted = have & ~scored_cells(design)
        if fitted.sum() < 3:
            return {}
        scores = _components(own, fitted, params.components, seed)
        scores *= have[:, None]
        embeddings[f"pca_{kind}"] = scores / max(
            float(np.sqrt((scores[fitted] ** 2).sum(1).mean())), 1e-12
        )
    embeddings[_CONCATENATED] = np.concatenate(list(embeddings.values()), axis=1)
    have_NM = design[[has(kind) for kind in values]].to_numpy(bool)
    whole = have_NM.all(axis=1) & ~scored_cells(design)
    if len(values) > 1 and whole.sum() > MIN_NEIGHBOURS:
        alone = [embeddings[f"pca_{kind}"] for kind in values]
        weights_NM = modality_weights(alone, whole) * have_NM
        weights_NM /= np.maximum(weights_NM.sum(axis=1, keepdims=True), 1e-12)
        embeddings["weighted_neighbours"] = weighted_embedding(alone, weights_NM)
    if design[BATCH].nunique() > 1:
        codes = pd.factorize(design[BATCH], sort=True)[0]
        embeddings["harmony"] = harmony_embedding(embeddings[_CONCATENATED], codes, seed)
    return {name: scores.astype(np.float32) for name, scores in embeddings.items()}


def _components(
    own: sparse.csr_matrix, fitted: np.ndarray, components: int, seed: int
) -> np.ndarray:
    count = min(components, min(int(fitted.sum()), own.shape[1]) - 1)
    _, loadings, _, _ = sc.pp.pca(own[fitted], n_comps=count, random_state=seed, return_info=True)
    mean = np.asarray(own[fitted].mean(axis=0)).ravel()
    return np.asarray(own @ loadings.T) - mean @ loadings.T


def match_by_ridge(
    values: Values, design: pd.DataFrame, params: BaselineParams, seed: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Predict RNA components from those of each other modality (LSI for peaks) by ridge.

    Returns
    -------
    dict
        By modality the RNA's own components and the predicted ones, at most `MATCHED` a cell; NaN for
        cells that lack the RNA, or the modality. Fitted without the scored cells.
    """
    have = {kind: design[has(kind)].to_numpy(bool) for kind in values}
    free, found = ~scored_cells(design), {}
    for kind, own in values.items():
        both = have[kind] & have[RNA]
        if kind == RNA or (both & free).sum() < 3:
            continue
        rna_NC = _components(values[RNA], have[RNA] & free, MATCHED, seed)
        from_NC = _components(own, have[kind] & free, params.components, seed)
        ridge = RidgeCV(np.asarray(params.regularisation), alpha_per_target=True)
        predicted_NC = ridge.fit(from_NC[both & free], rna_NC[both & free]).predict(from_NC)
        rna_NC[~have[RNA]], predicted_NC[~have[kind]] = np.nan, np.nan
        found[kind] = rna_NC, predicted_NC
    return found


def predict_by_ridge(
    values: Values, design: pd.DataFrame, params: BaselineParams, seed: int
) -> Outputs:
    """Predict every feature of a modality from the values of the others by ridge, one penalty a feature.

    Modalities of more than `most_features` are left out. Missing modalities count as zeros.
    """
    return {
        kind: _ridge(values, kind, design, params, seed)
        for kind, own in values.items()
        if own.shape[1] <= params.most_features
    }


def _ridge(
    values: Values, kind: str, design: pd.DataFrame, params: BaselineParams, seed: int
) -> np.ndarray:
    source = sparse.hstack([v for other, v in values.items() if other != kind]).tocsr()
    fitted = design[has(kind)].to_numpy(bool) & ~scored_cells(design)
    rows = np.flatnonzero(fitted)
    if len(rows) > params.most_cells:
        rows = np.sort(np.random.default_rng(seed).choice(rows, params.most_cells, replace=False))
    ridge = RidgeCV(np.asarray(params.regularisation), alpha_per_target=True)
    if source.shape[1] > len(rows):  # an equivalent basis of as many numbers as cells
        features = np.asarray(source @ compact(source[rows], len(rows))[1])
    else:
        features = source.toarray()
    ridge.fit(features[rows], values[kind][rows].toarray())
    return ridge.predict(features).astype(np.float32)


def totalvi_embedding(
    cells: JointCells, genes: list[str], design: pd.DataFrame, seed: int
) -> np.ndarray | None:
    """Embed cells by totalVI with its default settings, trained on cells that are not scored.

    Gayoso et al. 2021, "Joint probabilistic modeling of single-cell multi-omic data with totalVI".

    Parameters
    ----------
    cells
        All cells, with counts of RNA and protein.
    genes
        Ensembl ids to read.
    design
        Parts, batches and modalities of the cells.
    seed
        Seed of the training.

    Returns
    -------
    ndarray or None
        (N, 20) float32, NaN for cells without RNA or of a batch not trained on; None without the extra
        `scvi`, proteins or counts. Missing proteins count as zeros.
    """
    if find_spec("scvi") is None or PROTEIN not in cells.modalities:
        return None
    rna, proteins = cells.modalities[RNA], cells.modalities[PROTEIN].X
    whole = bool((proteins.data == np.rint(proteins.data)).all())
    if COUNTS_LAYER not in rna.layers or not whole:
        return None
    import scvi

    scvi.settings.seed = seed
    counts = AnnData(X=rna[:, genes].layers[COUNTS_LAYER].copy(), obs=design[[BATCH]].copy())
    counts.obsm["proteins"] = proteins.toarray()
    have_rna = design[has(RNA)].to_numpy(bool)
    fitted = have_rna & design[has(PROTEIN)].to_numpy(bool) & ~scored_cells(design)
    training = counts[fitted].copy()
    scvi.model.TOTALVI.setup_anndata(
        training, protein_expression_obsm_key="proteins", batch_key=BATCH
    )
    model = scvi.model.TOTALVI(training, n_latent=TOTALVI_WIDTH)
    model.train(enable_progress_bar=False)
    known = have_rna & design[BATCH].isin(set(design[BATCH][fitted])).to_numpy()
    embedding = np.full((len(design), TOTALVI_WIDTH), np.nan, dtype=np.float32)
    embedding[known] = model.get_latent_representation(counts[known].copy())
    return embedding


def train_variant(
    name: Variant,
    untrained_model: MultiomicsModel,
    training_tokens: TokenizedCells,
    validation_tokens: TokenizedCells,
    fine_tuning: JointFitParams,
    imputation: ImputationParams,
    prediction: PredictParams,
    compute: ComputeOptions,
) -> MultiomicsModel:
    """Train a variant of the model in the same way, on the same cells."""
    own = untrained_model
    head, objective, fitting = variant_params(name, own.head, own.objective, fine_tuning)
    trained = new_model(
        own.backbone,
        own.tokenizer,
        own.weight_V.numpy(),
        np.zeros((0, 2), dtype=np.int64),  # proteins start as their genes in this backbone already
        training_tokens,
        head,
        objective,
        own.features,
        own.batch_key,
        compute.seed,
    )
    if fitting is not None:
        trained, _ = fine_tune(trained, training_tokens, validation_tokens, fitting, compute)
    return fit_imputers(
        trained, training_tokens, validation_tokens, imputation, prediction, compute
    )


def variant_params(
    name: Variant, head: HeadParams, objective: LossParams, fitting: JointFitParams
) -> tuple[HeadParams, LossParams, JointFitParams | None]:
    """Return head, objective and training of a variant; None: it is not trained."""
    if name == "start_alone":
        return head, objective, None
    if name == "no_adversary":
        return head, objective.model_copy(update={"adversary": 0.0}), fitting
    changed = head.model_copy(update={"paths": _BRANCHES.get(name, ("trunk", "pooled"))})
    if name == "trunk_states":
        return changed, objective, None
    if name == "trunk_frozen":
        return changed, objective, fitting.model_copy(update={"mode": "frozen"})
    return changed, objective, fitting
