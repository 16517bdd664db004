"""What stands beside the model on the same split: simple methods, and variants of the model itself.

The simple methods, logistic regression and PCA + kNN, read the same log-normalised values as the model.
Logistic regression gets every gene that both files share, not only the chosen ones, since it is the
stronger for it.
"""

import copy
import warnings

import pandas as pd
from anndata import AnnData
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sc_mamba2.cells import keys
from sc_mamba2.tasks.annotation.model import LABEL, AnnotationModel
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
    untrained_model: AnnotationModel,
    training_tokens: TokenizedCells,
    validation_tokens: TokenizedCells,
    query_tokens: TokenizedCells,
    baselines: BaselineParams,
    ablations: AblationParams,
    fine_tuning: FineTuneParams,
    prediction: PredictParams,
    compute: ComputeOptions,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Annotate the query by the simple methods, and by the variants of the model that are named.

    Returns
    -------
    baseline_calls, ablation_calls
        One row a query cell, one column a method, values are class names.
    """
    vocabulary = untrained_model.tokenizer.vocabulary
    genes = [vocabulary.ids[row] for row in vocabulary.gene_rows]
    simple = baseline_calls(training_cells, query_cells, genes, baselines, compute.seed)
    tokens = (training_tokens, validation_tokens, query_tokens)
    variants = ablation_calls(untrained_model, tokens, fine_tuning, prediction, ablations, compute)
    return simple, variants


def baseline_calls(
    training: AnnData, query: AnnData, genes: list[str], params: BaselineParams, seed: int
) -> pd.DataFrame:
    """Predict the query by every baseline.

    Parameters
    ----------
    training
        Labelled cells in the standard form, ``obs["label"]``.
    query
        Cells to predict, in the standard form.
    genes
        Ensembl ids that the model uses, all measured in both; kNN reads these.
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
    classes = training.obs[LABEL].to_numpy()
    # scikit-learn refuses more folds than the largest class has cells.
    largest = int(training.obs[LABEL].value_counts().max())
    folds = max(2, min(params.folds, largest))
    logistic = logistic_regression(params.model_copy(update={"folds": folds}), seed)
    with warnings.catch_warnings():
        # Classes rarer than the folds are spread as well as they can be.
        warnings.filterwarnings("ignore", message="The least populated class")
        logistic.fit(training[:, shared].X, classes)
    neighbours = make_pipeline(
        PCA(min(params.components, len(classes) - 1, len(genes)), random_state=seed),
        KNeighborsClassifier(min(params.neighbours, len(classes))),
    )
    neighbours.fit(training[:, genes].X.toarray(), classes)
    return pd.DataFrame(
        {
            "logistic_regression": logistic.predict(query[:, shared].X),
            "pca_knn": neighbours.predict(query[:, genes].X.toarray()),
        },
        index=query.obs_names,
    )


def logistic_regression(params: BaselineParams, seed: int) -> GridSearchCV:
    """Return multinomial logistic regression whose C is chosen by stratified cross-validation."""
    model = LogisticRegression(max_iter=300, tol=1e-3)
    folds = StratifiedKFold(params.folds, shuffle=True, random_state=seed)
    return GridSearchCV(model, {"C": list(params.regularisation)}, cv=folds, scoring="accuracy")


def variant(
    name: str, model: AnnotationModel, params: FineTuneParams, seed: int
) -> tuple[AnnotationModel, FineTuneParams]:
    """Make one variant of a model, untrained.

    Parameters
    ----------
    name
        ``readout_alone``, ``pooled_alone``, ``trunk_alone``, or ``trunk_frozen``: all paths of the
        model with the Mamba2 layers left as they started; and with all of the backbone, where the
        fine-tuning does not train it in full.
    model
        The untrained model, whose backbone, labels, weights of classes and head are copied.
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


def ablation_calls(
    untrained_model: AnnotationModel,
    tokens: tuple[TokenizedCells, TokenizedCells, TokenizedCells],
    fine_tuning: FineTuneParams,
    prediction: PredictParams,
    params: AblationParams,
    compute: ComputeOptions,
) -> pd.DataFrame:
    """Train every variant that is named, and predict the query with it.

    Parameters
    ----------
    untrained_model
        The model before its training.
    tokens
        Of training, validation and query cells.
    fine_tuning, prediction, params, compute
        Groups of parameters.

    Returns
    -------
    DataFrame
        One row a query cell, one column a variant, values are class names.
    """
    training, validation, query = tokens
    calls = pd.DataFrame(index=query.obs.index)
    # A head that fits itself leaves the backbone as it is: a frozen one is no other model.
    names = [n for n in params.names if n != "trunk_frozen" or not untrained_model.fits_itself]
    for name in names:
        untrained, options = variant(name, untrained_model, fine_tuning, compute.seed)
        trained, _ = fine_tune(untrained, training, validation, options, compute)
        outputs = predict(trained, query, prediction, compute)
        table = call_types(outputs, untrained_model.labels, calls.index, CallParams())
        calls[name] = table[keys.CELL_TYPE]
    return calls
