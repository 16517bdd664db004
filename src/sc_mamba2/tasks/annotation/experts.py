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
from scipy.special import expit, softmax
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from sc_mamba2.cells.scale import CELL_TOTAL
from sc_mamba2.methods.class_shift import class_shift
from sc_mamba2.methods.depth import match_depth
from sc_mamba2.methods.logistic_regression import Block, fit_linear_head
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

    If both sides are counts, the deeper one is thinned first, see `match_depth`. These experts read the
    query without what shifts its types alike, see `ExpertInputs.shift_of`. Classes without reference cells have
    probability 0.
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
        distance_N, likeness = inputs.ranks.distance_N, inputs.likeness
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
    def axes(self) -> PCA:
        """Principal components of the reference."""
        count = min(self.params.components, min(self.reference_RG.shape) - 1)
        return PCA(count, svd_solver="arpack", random_state=self.seed).fit(self.reference_RG)

    @cached_property
    def components(self) -> tuple[np.ndarray, np.ndarray]:
        """Reference and query in the principal components of the reference."""
        return self.axes.transform(self.reference_RG), self.axes.transform(self.query_NG)

    @cached_property
    def likeness(self) -> float:
        """Similarity of query and reference, 0 to 1."""
        return similarity(*self.components, self.seed)

    @cached_property
    def ranks(self) -> "RankReadings":
        """Ranks of the marker genes, and provisional calls by them."""
        return RankReadings.of(self)

    @cached_property
    def shift_G(self) -> np.ndarray:
        """How all types of the query differ from the reference in every gene."""
        return self.shift_of(self.reference_RG, self.query_NG, self.ranks.calls_N)

    def shift_of(self, reference_RF: Block, query_NF: Block, calls_N: np.ndarray) -> np.ndarray:
        """Return what to subtract from the query, (F,): the `class_shift` of the calls.

        Only as far as the query can be told from the reference (1 - likeness): cells of the same study are
        hardly shifted, so what their sample happens to differ in stays. Nothing is shifted by means of few cells.
        """
        few = len(self.classes_R) <= self.params.shift_cells * self.n_classes
        share = 0.0 if few else self.params.shift * (1 - self.likeness)
        if not share:
            return np.zeros(query_NF.shape[1])
        means_JF, _ = self._sums(reference_RF, self.classes_R)
        means_JF /= np.bincount(self.classes_R)[:, None]
        return share * class_shift(*self._sums(query_NF, calls_N), means_JF)

    def _sums(self, points_NF: Block, classes_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return sums (J, F) and numbers (J,) of points by class."""
        ones = np.ones(len(classes_N))
        at = classes_N, np.arange(len(classes_N))
        member_JN = sparse.csr_matrix((ones, at), (self.n_classes, len(classes_N)))
        sums_JF = member_JN @ points_NF
        dense = sums_JF.toarray() if sparse.issparse(sums_JF) else sums_JF
        return np.asarray(dense, dtype=np.float64), np.bincount(classes_N, minlength=self.n_classes)

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
    model.fit(inputs.reference_RG, inputs.classes_R)
    # A shift of the features is one of the logits.
    logits = model.decision_function(inputs.query_NG) - (model.coef_ @ inputs.shift_G).squeeze()
    if logits.ndim > 1:
        return np.asarray(softmax(logits, axis=1))
    return np.stack([expit(-logits), expit(logits)], axis=1)


def by_pca_neighbours(inputs: ExpertInputs) -> np.ndarray:
    """Return shares (N, J) of the classes among nearest neighbours in principal components."""
    reference_RD, query_ND = inputs.components
    return inputs.neighbours(reference_RD, query_ND - inputs.axes.components_ @ inputs.shift_G)


@dataclass(frozen=True, eq=False)
class RankReadings:
    """Ranks of F marker genes, the query's less its shift.

    Attributes
    ----------
    reference_RF, query_NF
        Normal scores of the ranks.
    prototypes, strength
        Prototypes of the types, and the factor of their cosines.
    calls_N
        The nearest prototype of every query cell: provisional types.
    distance_N
        One minus the cosine with the nearest prototype, before the shift: what is far stays far.
    """

    reference_RF: np.ndarray
    query_NF: np.ndarray
    prototypes: DirectionPrototypes
    strength: float
    calls_N: np.ndarray
    distance_N: np.ndarray

    @classmethod
    def of(cls, inputs: ExpertInputs) -> "RankReadings":
        """Rank the genes of both sides, and call the query twice: as it is, and shifted by the first calls."""
        reference, query = rank_scores(inputs.reference_RG), rank_scores(inputs.query_NG)
        genes_F = marker_genes(reference, inputs.classes_R, inputs.params.markers)
        reference_RF, query_NF = reference.of(genes_F), query.of(genes_F)
        prototypes = DirectionPrototypes.fit(reference_RF, inputs.classes_R, inputs.n_classes)
        strength = most_likely_strength(prototypes.cosines(reference_RF), inputs.classes_R)
        cosine_NJ = prototypes.cosines(query_NF)
        query_NF = query_NF - inputs.shift_of(reference_RF, query_NF, cosine_NJ.argmax(axis=1))
        calls_N = prototypes.cosines(query_NF).argmax(axis=1)
        distance_N = 1 - cosine_NJ.max(axis=1)
        return cls(reference_RF, query_NF, prototypes, strength, calls_N, distance_N)


def by_rank_prototypes(inputs: ExpertInputs) -> np.ndarray:
    """Return (N, J) by the nearest prototype of marker genes' ranks."""
    ranks = inputs.ranks
    return np.asarray(softmax(ranks.strength * ranks.prototypes.cosines(ranks.query_NF), axis=1))


def by_rank_neighbours(inputs: ExpertInputs) -> np.ndarray:
    """Return (N, J) by the nearest reference cells in marker genes' ranks."""
    return inputs.neighbours(inputs.ranks.reference_RF, inputs.ranks.query_NF)


def by_embedding(inputs: ExpertInputs, name: str) -> np.ndarray:
    """Return (N, J) by the nearest class mean in an embedding of the pretrained backbone."""
    reference_RD, query_ND = inputs.reference.states[name], inputs.query.states[name]
    head = fit_prototypes([reference_RD], inputs.classes_R, inputs.n_classes)
    shift_D = inputs.shift_of(reference_RD, query_ND, inputs.ranks.calls_N)
    return np.asarray(softmax(head.logits([query_ND - shift_D]), axis=1))


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
    query_ND = inputs.query.states["trunk"]
    shift_D = inputs.shift_of(inputs.reference.states["trunk"], query_ND, inputs.ranks.calls_N)
    logits = head.logits([inputs.query_NG, query_ND - shift_D]) - inputs.shift_G @ head.weights[0]
    return np.asarray(softmax(logits, axis=1))


_ALONE: dict[Expert, Callable[[ExpertInputs], np.ndarray]] = {
    "logistic_regression": by_logistic_regression,
    "balanced_logistic_regression": by_balanced_regression,
    "pca_neighbours": by_pca_neighbours,
    "rank_prototypes": by_rank_prototypes,
    "rank_neighbours": by_rank_neighbours,
}
