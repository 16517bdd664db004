"""The simple methods beside the model, on the same split: logistic regression, PCA + kNN.

Both read the same log-normalised values as the model. Logistic regression gets every gene that both
files share, not only the chosen ones, since it is the stronger for it.
"""

import warnings

import pandas as pd
from anndata import AnnData
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sc_mamba2.tasks.annotation.model import LABEL
from sc_mamba2.tasks.annotation.params import BaselineParams


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
