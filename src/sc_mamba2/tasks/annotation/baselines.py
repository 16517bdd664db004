"""Baselines on the same split, and variants of the model for ablations.

The baselines, logistic regression and PCA + kNN, read the log-normalised values of all genes that both files
share, not only those that a network reads, which makes them stronger.
"""

import copy

import pandas as pd
from anndata import AnnData
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sc_mamba2.cells import keys
from sc_mamba2.methods.logistic_regression import search_strength
from sc_mamba2.tasks.annotation.annotator import LABEL, Annotator
from sc_mamba2.tasks.annotation.model import AnnotationModel
from sc_mamba2.tasks.annotation.params import AblationParams, BaselineParams, Branch, CallParams
from sc_mamba2.tasks.annotation.predict import call_types
from sc_mamba2.tasks.shared.backbone import fine_tune, predict
from sc_mamba2.tasks.shared.params import FineTuneParams, PredictParams
from sc_mamba2.tokens import TokenizedCells
from sc_mamba2.training import ComputeOptions, seed_everything

_BRANCHES: dict[str, tuple[Branch, ...]] = {
    "readout_alone": ("readout",),
    "pooled_alone": ("pooled",),
    "trunk_alone": ("trunk",),
}


def compare(
    training_cells: AnnData,
    query_cells: AnnData,
    untrained_model: Annotator,
    training_tokens: TokenizedCells,
    validation_tokens: TokenizedCells,
    query_tokens: TokenizedCells,
    baselines: BaselineParams,
    ablations: AblationParams,
    fine_tuning: FineTuneParams,
    prediction: PredictParams,
    compute: ComputeOptions,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Annotate the query by the baselines, and by the named variants of a network.

    Returns
    -------
    baseline_calls, ablation_calls
        One row a query cell, one column a method; values are class names.
    """
    variants = pd.DataFrame(index=query_tokens.obs.index)
    simple = baseline_calls(training_cells, query_cells, baselines, compute.seed)
    alone = isinstance(untrained_model, AnnotationModel)
    network = untrained_model if alone else untrained_model.learner
    if not isinstance(network, AnnotationModel):
        return simple, variants  # a consensus scores each of its experts instead
    training, validation, query = map(
        untrained_model.learner_tokens, (training_tokens, validation_tokens, query_tokens)
    )
    for name in ablations.names:
        # A head that fits itself has a frozen backbone already.
        if name == "trunk_frozen" and network.is_fitted_directly:
            continue
        untrained, options = variant(name, network, fine_tuning, compute.seed)
        trained, _ = fine_tune(untrained, training, validation, options, compute)
        outputs = predict(trained, query, prediction, compute)
        table = call_types(outputs, untrained_model.labels, variants.index, CallParams())
        variants = variants.assign(**{name: table[keys.CELL_TYPE]})
    return simple, variants


def baseline_calls(
    training: AnnData, query: AnnData, params: BaselineParams, seed: int
) -> pd.DataFrame:
    """Predict the query by every baseline, from all genes that both files measure.

    Parameters
    ----------
    training
        Labelled cells in the standard form, ``obs["label"]``.
    query
        Cells to predict, in the standard form.
    params
        Grid of C, folds, components, neighbours.
    seed
        Seed of the folds and of the PCA.

    Returns
    -------
    DataFrame
        One row a query cell, one column a baseline, values are class names.
    """
    shared = list(training.var_names[training.var_names.isin(query.var_names)])
    known, query_values = training[:, shared].X, query[:, shared].X
    classes = training.obs[LABEL].to_numpy()
    # scikit-learn refuses more folds than the largest class has cells.
    folds = max(2, min(params.folds, int(training.obs[LABEL].value_counts().max())))
    model = LogisticRegression(max_iter=300, tol=1e-3)
    logistic = search_strength(model, known, classes, params.regularisation, folds, seed)
    calls = {"logistic_regression": logistic.predict(query_values)}
    components = min(params.components, min(known.shape) - 1)
    if components:
        neighbours = make_pipeline(
            PCA(components, svd_solver="arpack", random_state=seed),
            KNeighborsClassifier(min(params.neighbours, len(classes))),
        )
        calls["pca_knn"] = neighbours.fit(known, classes).predict(query_values)
    return pd.DataFrame(calls, index=query.obs_names)


def variant(
    name: str, model: AnnotationModel, params: FineTuneParams, seed: int
) -> tuple[AnnotationModel, FineTuneParams]:
    """Make one variant of a model, untrained.

    Parameters
    ----------
    name
        ``readout_alone``, ``pooled_alone``, ``trunk_alone``, or ``trunk_frozen``: all paths, with the
        Mamba2 layers frozen, or the whole backbone if the fine-tuning does not train it in full.
    model
        The untrained model, whose backbone, labels, class weights and head are copied.
    params
        Its fine-tuning.
    seed
        Seed of the new head.

    Returns
    -------
    model, params
        The variant and its fine-tuning.
    """
    seed_everything(seed)
    head = model.head
    start = copy.deepcopy(model.backbone)
    if name != "trunk_frozen":
        head = head.model_copy(update={"paths": _BRANCHES[name]})
    elif params.mode == "full":
        start.layers.requires_grad_(False)
    else:
        params = FineTuneParams(**params.model_dump() | {"mode": "frozen"})
    parts = (model.labels, model.class_weights, head, model.label_key)
    return AnnotationModel(start, model.tokenizer, *parts), params
