"""The experts of a consensus: simple methods that predict class probabilities.

All read the same labelled reference and the same query, over the genes that both measure. Legend: N query
cells, R reference cells, G genes, K classes, D width of an embedding.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.special import softmax
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from sc_mamba2.cells.scale import CELL_TOTAL
from sc_mamba2.methods.depth import match_depth
from sc_mamba2.methods.logistic_regression import fit_linear_head
from sc_mamba2.methods.prototypes import fit_prototypes, most_likely_strength
from sc_mamba2.methods.rank_scores import DirectionPrototypes, marker_genes, rank_scores
from sc_mamba2.methods.two_samples import similarity
from sc_mamba2.tasks.annotation.params import ConsensusParams, Expert


@dataclass(frozen=True, eq=False)
class Readings:
    """N cells as the experts read them.

    Attributes
    ----------
    amounts_NG
        Counts, or normalised expression; not negative, not log-transformed.
    counted
        Whether these are counts.
    states
        Embeddings (N, D) by a pretrained backbone, by expert.
    """

    amounts_NG: sparse.csr_matrix
    counted: bool
    states: dict[str, np.ndarray] = field(default_factory=dict)

    def take(self, cells_N: np.ndarray) -> "Readings":
        """Return some of the cells."""
        states = {name: states_ND[cells_N] for name, states_ND in self.states.items()}
        return Readings(self.amounts_NG[cells_N], self.counted, states)

    def log_normalised(self) -> sparse.csr_matrix:
        """Return log1p of each cell's amounts, scaled to 10,000 over these genes, in float32.

        ARPACK and the regressions take a third of the time they take in float64.
        """
        totals_N = np.asarray(self.amounts_NG.sum(axis=1)).ravel()
        factors_N = CELL_TOTAL / np.where(totals_N > 0, totals_N, 1)
        scaled_NG = sparse.diags(factors_N) @ self.amounts_NG
        return sparse.csr_matrix(scaled_NG, dtype=np.float32).log1p()


class ExpertPredictions(NamedTuple):
    """Predictions of the experts.

    Attributes
    ----------
    by_expert
        Probabilities (N, K) by expert.
    distance_N
        Distance of each cell to the nearest type, 0 to 2: one minus the cosine with its rank prototype.
    likeness
        Similarity of query and reference, 0 to 1; see `methods.two_samples`.
    """

    by_expert: dict[str, np.ndarray]
    distance_N: np.ndarray
    likeness: float


def predict_with_experts(
    reference: Readings,
    classes_R: np.ndarray,
    n_classes: int,
    query: Readings,
    params: ConsensusParams,
    seed: int,
) -> ExpertPredictions:
    """Predict all cells of a query by every expert.

    If both sides are counts, the deeper one is thinned first, see `match_depth`. Classes without reference
    cells have probability 0.
    """
    if reference.counted and query.counted:
        limits = params.depth_ratio, params.least_molecules, seed
        pair = match_depth(reference.amounts_NG, query.amounts_NG, *limits)
        reference, query = (
            replace(side, amounts_NG=thinned)
            for side, thinned in zip((reference, query), pair, strict=True)
        )
    present = np.unique(classes_R)
    codes_R = np.searchsorted(present, classes_R)
    predictions: dict[str, np.ndarray] = {}
    if len(present) == 1:
        cells = query.amounts_NG.shape[0]
        predictions = {name: np.ones((cells, 1)) for name in params.experts}
        distance_N, likeness = np.zeros(cells), 0.0
    else:
        inputs = ExpertInputs(reference, codes_R, len(present), query, params, seed)
        for name in params.experts:
            if name in _ALONE:
                predictions[name] = _ALONE[name](inputs)
            elif name == "trunk_regression" and "trunk" in reference.states:
                predictions[name] = by_trunk_regression(inputs)
            elif name in reference.states:
                predictions[name] = by_embedding(inputs, name)
        by_rank, distance_N = by_ranks(inputs)
        likeness = similarity(*inputs.components, seed)
        predictions |= {name: p_NJ for name, p_NJ in by_rank.items() if name in params.experts}
    whole = {name: _spread(p_NJ, present, n_classes) for name, p_NJ in predictions.items()}
    return ExpertPredictions(whole, distance_N, likeness)


def _spread(predicted_NJ: np.ndarray, present: np.ndarray, n_classes: int) -> np.ndarray:
    """Add columns of zeros for classes without reference cells."""
    predicted_NK = np.zeros((len(predicted_NJ), n_classes))
    predicted_NK[:, present] = predicted_NJ
    return predicted_NK


@dataclass(frozen=True, eq=False)
class ExpertInputs:
    """Inputs of all experts: R reference and N query cells over the same genes.

    Each of the classes 0 to J - 1 in `classes_R` has reference cells.
    """

    reference: Readings
    classes_R: np.ndarray
    n_classes: int
    query: Readings
    params: ConsensusParams
    seed: int

    @cached_property
    def reference_RG(self) -> sparse.csr_matrix:
        """Log-normalised reference."""
        return self.reference.log_normalised()

    @cached_property
    def query_NG(self) -> sparse.csr_matrix:
        """Log-normalised query."""
        return self.query.log_normalised()

    @cached_property
    def components(self) -> tuple[np.ndarray, np.ndarray]:
        """Reference and query in the principal components of the reference."""
        count = min(self.params.components, min(self.reference_RG.shape) - 1)
        axes = PCA(count, svd_solver="arpack", random_state=self.seed).fit(self.reference_RG)
        return axes.transform(self.reference_RG), axes.transform(self.query_NG)

    def neighbours(self, reference_RD: np.ndarray, query_ND: np.ndarray) -> np.ndarray:
        """Return shares (N, J) of the classes among the nearest reference cells."""
        count = min(self.params.neighbours, len(reference_RD))
        fitted = KNeighborsClassifier(count).fit(reference_RD, self.classes_R)
        return np.asarray(fitted.predict_proba(query_ND))


def by_logistic_regression(inputs: ExpertInputs) -> np.ndarray:
    """Return probabilities (N, J) by logistic regression on all genes."""
    return _regression(inputs, inputs.params.regression_strength, None)


def by_balanced_regression(inputs: ExpertInputs) -> np.ndarray:
    """Return probabilities (N, J) by logistic regression with balanced classes."""
    return _regression(inputs, inputs.params.balanced_regression_strength, "balanced")


def _regression(inputs: ExpertInputs, strength: float, class_weight: str | None) -> np.ndarray:
    # Stopped early: across studies the last digits of a fit do not generalise.
    c = strength / len(inputs.classes_R)
    model = LogisticRegression(C=c, class_weight=class_weight, max_iter=300, tol=1e-3)
    return np.asarray(
        model.fit(inputs.reference_RG, inputs.classes_R).predict_proba(inputs.query_NG)
    )


def by_pca_neighbours(inputs: ExpertInputs) -> np.ndarray:
    """Return shares (N, J) of the classes among nearest neighbours in principal components."""
    return inputs.neighbours(*inputs.components)


def by_ranks(inputs: ExpertInputs) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return (N, J) by prototypes and by neighbours on ranks of marker genes, and `distance_N`."""
    reference, query = rank_scores(inputs.reference_RG), rank_scores(inputs.query_NG)
    genes_F = marker_genes(reference, inputs.classes_R, inputs.params.markers)
    reference_RF, query_NF = reference.of(genes_F), query.of(genes_F)
    prototypes = DirectionPrototypes.fit(reference_RF, inputs.classes_R, inputs.n_classes)
    strength = most_likely_strength(prototypes.cosines(reference_RF), inputs.classes_R)
    cosine_NJ = prototypes.cosines(query_NF)
    predictions = {
        "rank_prototypes": softmax(strength * cosine_NJ, axis=1),
        "rank_neighbours": inputs.neighbours(reference_RF, query_NF),
    }
    return predictions, 1 - cosine_NJ.max(axis=1)


def by_embedding(inputs: ExpertInputs, name: str) -> np.ndarray:
    """Return (N, J) by the nearest class mean in an embedding of the pretrained backbone."""
    reference_RD, query_ND = inputs.reference.states[name], inputs.query.states[name]
    head = fit_prototypes([reference_RD], inputs.classes_R, inputs.n_classes)
    return np.asarray(softmax(head.logits([query_ND]), axis=1))


def by_trunk_regression(inputs: ExpertInputs) -> np.ndarray:
    """Return (N, J) by logistic regression on all genes and the state of the backbone's layers."""
    params = inputs.params
    head = fit_linear_head(
        [inputs.reference_RG, inputs.reference.states["trunk"]],
        [1.0, params.trunk_variance],
        inputs.classes_R,
        inputs.n_classes,
        (params.trunk_regression_strength / len(inputs.classes_R),),
        params.folds,
        inputs.seed,
    )
    return np.asarray(softmax(head.logits([inputs.query_NG, inputs.query.states["trunk"]]), axis=1))


_ALONE: dict[Expert, Callable[[ExpertInputs], np.ndarray]] = {
    "logistic_regression": by_logistic_regression,
    "balanced_logistic_regression": by_balanced_regression,
    "pca_neighbours": by_pca_neighbours,
}
