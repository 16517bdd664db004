"""Fitting: tokens, the untrained model, and the calibration of the trained one."""

import copy
from pathlib import Path

import numpy as np
from anndata import AnnData
from natsort import natsorted

from sc_mamba2.methods.conformal import set_threshold
from sc_mamba2.methods.temperature import cross_fitted, fit_temperature, log_loss
from sc_mamba2.metrics.classification import expected_calibration_error
from sc_mamba2.model import Backbone
from sc_mamba2.tasks.annotation.annotator import (
    BATCH,
    LABEL,
    PLACE,
    TERM_IDS,
    Annotator,
    Calibration,
    mean_squares,
)
from sc_mamba2.tasks.annotation.consensus import ConsensusModel
from sc_mamba2.tasks.annotation.few_labels import start_for_few_labels
from sc_mamba2.tasks.annotation.model import AnnotationModel
from sc_mamba2.tasks.annotation.params import CallParams, ConsensusParams, HeadParams, LabelParams
from sc_mamba2.tasks.annotation.rollup import Rollup, read_rollup
from sc_mamba2.tasks.annotation.split import stratified_split
from sc_mamba2.tasks.annotation.summed import SummedConsensus
from sc_mamba2.tasks.annotation.tokens import annotation_tokens, read_anew
from sc_mamba2.tasks.shared.backbone import load_or_build_backbone, predict
from sc_mamba2.tasks.shared.coverage import check_genes
from sc_mamba2.tasks.shared.params import (
    BackboneParams,
    PredictParams,
    TokenizationParams,
    ValidationParams,
)
from sc_mamba2.tasks.shared.tokenization import fit_tokenizer, source_vocabulary, token_rules
from sc_mamba2.tokens import TokenizedCells, Tokenizer, grown_vocabulary
from sc_mamba2.training import ComputeOptions, seed_everything


def prepare(
    training_cells: AnnData,
    query_cells: AnnData,
    labels: LabelParams,
    tokenization: TokenizationParams,
    backbone: BackboneParams,
    head: HeadParams,
    consensus: ConsensusParams,
    validation_limits: ValidationParams,
    compute: ComputeOptions,
) -> tuple[Annotator, TokenizedCells, TokenizedCells, TokenizedCells]:
    """Choose the genes, make tokens, and build the untrained model.

    The genes are the reference's, including those missing from this query: other queries may have them. A
    consensus reads all of them, including those that a pretrained checkpoint does not know; a network, alone
    or as an expert, reads the most variable.

    Returns
    -------
    untrained_model, training_tokens, validation_tokens, query_tokens
        The validation tokens are a share of the training cells, for choosing the epoch. If no network is
        trained, they are empty, and the training tokens are the cells that the consensus keeps.

    Raises
    ------
    UserError
        Rule ``model-genes``: the query measures too little of the reference's expression.
    """
    tokenization, backbone = start_for_few_labels(
        training_cells, query_cells, tokenization, backbone, head, consensus
    )
    if head.is_consensus:
        tokenizer = tokenizer_of_all(training_cells, tokenization, backbone.checkpoint)
    else:
        tokenizer = fit_tokenizer(training_cells, training_cells, tokenization)
    whole = annotation_tokens(training_cells, tokenizer)
    square_V = mean_squares(whole, tokenizer.vocabulary.size)
    floor = validation_limits.minimum_weight_share
    check_genes(tokenizer.vocabulary, square_V, query_cells.var_names, floor, what="the reference")
    query = annotation_tokens(query_cells, tokenizer)
    if not head.is_consensus:
        training, validation = split_validation(whole, labels, compute)
        network = untrained_network(tokenizer, training, backbone, head, labels, compute)
        network.term_ids = training_cells.uns.get(TERM_IDS, {})
        network.keep_cells(whole.take(network.choose_cells(whole, compute.seed)))
        return network, training, validation, query
    pretrained = backbone.checkpoint is not None
    own = backbone if pretrained else backbone.model_copy(update={"preset": "genes"})
    loaded = load_or_build_backbone(tokenizer, whole, own, compute, others=True)
    classes, rollup = _classes(whole, labels)
    kind = SummedConsensus if head.keeps == "sums" else ConsensusModel
    model = kind(
        loaded,
        tokenizer,
        labels=classes,
        head=head,
        label_key=labels.key,
        consensus=consensus,
        pretrained=pretrained,
        start=None if backbone.checkpoint is None else Path(backbone.checkpoint).name,
        batch_key=training_cells.uns.get(BATCH),
        rollup=rollup,
        term_ids=training_cells.uns.get(TERM_IDS),
    )
    if head.fit == "consensus":
        kept = whole.take(model.choose_cells(whole, compute.seed))
        return model, kept, whole.take(np.arange(0)), query
    whole.obs[PLACE] = np.arange(len(whole))
    training, validation = split_validation(whole, labels, compute)
    chosen = fit_tokenizer(training_cells, training_cells, tokenization)
    genes = set(chosen.vocabulary.ids) & set(tokenizer.vocabulary.ids)
    narrow = Tokenizer(tokenizer.vocabulary.subset(genes), chosen.rules)
    read = read_anew(training, tokenizer.vocabulary, narrow)
    model.add_network(untrained_network(narrow, read, backbone, head, labels, compute))
    return model, training, validation, query


def tokenizer_of_all(
    cells: AnnData, params: TokenizationParams, checkpoint: str | None
) -> Tokenizer:
    """Return a tokenizer of all genes that the cells express.

    If the vocabulary is the checkpoint's, the genes it knows come first, in the order its layers were
    trained on, then the others; bins are the checkpoint's.
    """
    of_checkpoint = params.vocabulary == checkpoint
    every = {
        "vocabulary": TokenizationParams().vocabulary if of_checkpoint else params.vocabulary,
        "variable_genes": None,
        "max_length": len(cells.var_names) + 2,
    }
    tokenizer = fit_tokenizer(cells, cells, params.model_copy(update=every))
    if not of_checkpoint:
        return tokenizer
    source, _ = source_vocabulary(params.vocabulary)
    whole = tokenizer.vocabulary
    genes = [(whole.ids[row], whole.symbols[row]) for row in whole.gene_rows]
    known = source.rows_of(ident for ident, _ in genes) >= 0
    others = [gene for gene, there in zip(genes, known, strict=True) if not there]
    first = source.subset(ident for (ident, _), there in zip(genes, known, strict=True) if there)
    vocabulary = grown_vocabulary(first, [i for i, _ in others], [s for _, s in others])
    bins = token_rules(params).model_dump(include={"bins", "n_bins"})
    return Tokenizer(vocabulary, tokenizer.rules.model_copy(update=bins))


def _classes(cells: TokenizedCells, labels: LabelParams) -> tuple[tuple[str, ...], Rollup | None]:
    """Return the class names in natural order, and their roll-up."""
    classes = tuple(natsorted(cells.obs[LABEL].unique()))  # T2 before T10
    return classes, None if labels.rollup is None else read_rollup(labels.rollup, classes)


def split_validation(
    labelled_tokens: TokenizedCells, params: LabelParams, compute: ComputeOptions
) -> tuple[TokenizedCells, TokenizedCells]:
    """Split the labelled cells into training and validation cells."""
    labels = labelled_tokens.obs[LABEL].to_numpy()
    first, second = stratified_split(labels, params.validation_share, compute.seed)
    return labelled_tokens.take(first), labelled_tokens.take(second)


def untrained_network(
    tokenizer: Tokenizer,
    training_tokens: TokenizedCells,
    backbone: BackboneParams,
    head: HeadParams,
    labels: LabelParams,
    compute: ComputeOptions,
) -> AnnotationModel:
    """Load or build a backbone, and add an untrained classifier."""
    loaded = load_or_build_backbone(tokenizer, training_tokens, backbone, compute)
    return attach_head(loaded, tokenizer, training_tokens, head, labels, compute)


def attach_head(
    backbone: Backbone,
    tokenizer: Tokenizer,
    training_tokens: TokenizedCells,
    params: HeadParams,
    labels: LabelParams,
    compute: ComputeOptions,
) -> AnnotationModel:
    """Build an untrained classifier of the training cells' types on the backbone."""
    seed_everything(compute.seed)
    classes, rollup = _classes(training_tokens, labels)
    counts = training_tokens.obs[LABEL].value_counts().loc[list(classes)]
    weights = (1 / counts) ** params.class_weight_power
    weights /= (weights * counts).sum() / counts.sum()
    class_weights = tuple(map(float, weights))
    return AnnotationModel(backbone, tokenizer, classes, class_weights, params, labels.key, rollup)


def calibrate(
    fitted_model: Annotator,
    validation_tokens: TokenizedCells,
    calls: CallParams,
    prediction: PredictParams,
    compute: ComputeOptions,
) -> Annotator:
    """Return the model with a calibrated temperature.

    A network's is fitted to the validation cells, a consensus's to its left-out calls of labelled cells
    (`ConsensusModel.left_out_calls`). A head that fits itself has no held-out cells, so none is fitted.
    """
    if not calls.calibrate:
        return fitted_model
    if isinstance(fitted_model, ConsensusModel):
        probability_NK, classes_N = fitted_model.left_out_calls(compute.seed)
        if not len(classes_N):
            return fitted_model
    elif fitted_model.is_fitted_directly:
        return fitted_model
    else:
        probability_NK = predict(fitted_model, validation_tokens, prediction, compute)[
            "probability"
        ]
        classes_N = fitted_model.targets(validation_tokens.obs)["class_B"].numpy()
    model = copy.copy(fitted_model)  # shares its weights
    model.calibration = fit_calibration(probability_NK, classes_N, calls.coverage)
    return model


def fit_calibration(
    probability_NK: np.ndarray, classes_N: np.ndarray, coverage: float = 0.9
) -> Calibration:
    """Fit the temperature by maximum likelihood, and keep it if it helps held-out cells.

    By cross-fitting, the log loss must fall and the expected calibration error must not rise; else the
    temperature is 1.

    Parameters
    ----------
    probability_NK
        Probabilities at temperature 1; rows sum to 1.
    classes_N
        The true classes, 0 to K - 1.
    coverage
        Coverage of the sets of types, see `methods.conformal.set_threshold`.
    """
    crossed_NK = cross_fitted(probability_NK, classes_N)
    errors, losses = [], []
    for p_NK in (probability_NK, crossed_NK):
        right_N = p_NK.argmax(axis=1) == classes_N
        errors.append(expected_calibration_error(right_N, p_NK.max(axis=1)))
        losses.append(log_loss(p_NK, classes_N))
    applied = losses[1] < losses[0] and errors[1] <= errors[0]
    return Calibration(
        temperature=fit_temperature(probability_NK, classes_N) if applied else 1.0,
        cells=len(classes_N),
        applied=applied,
        error_before=errors[0],
        error_after=errors[1],
        loss_before=losses[0],
        loss_after=losses[1],
        set_threshold=set_threshold(crossed_NK if applied else probability_NK, classes_N, coverage),
    )
