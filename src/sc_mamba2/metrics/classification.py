"""Metrics of classification: scores, their margins of error, calibration and confusion."""

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

CALIBRATION_BINS = 10


def classification_metrics(truth: np.ndarray, calls: np.ndarray) -> dict[str, float]:
    """Score predicted classes against the truth, (N,) names; cells of classes unknown to the model are errors.

    Returns
    -------
    dict
        ``accuracy`` and means over the classes of the truth (macro): ``balanced_accuracy``
        (mean recall), ``macro_precision``, ``macro_f1``; all from 0 to 1.
    """
    classes = np.unique(truth)
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, calls, labels=classes, average="macro", zero_division=0
    )
    return {
        "accuracy": float(accuracy_score(truth, calls)),
        "balanced_accuracy": float(recall),
        "macro_precision": float(precision),
        "macro_f1": float(f1),
    }


def paired_margins(
    truth: np.ndarray, own: np.ndarray, other: np.ndarray, repeats: int = 200, seed: int = 0
) -> dict[str, float]:
    """Return, for each score, the margin of error of the difference between two classifiers on the same cells.

    1.96 standard deviations of the difference over bootstrap samples of the cells, drawn as multinomial counts
    of (truth, own, other); for the scores of `classification_metrics`.
    """
    _, codes = np.unique(np.concatenate([truth, own, other]).astype(str), return_inverse=True)
    triples_J3, counts_J = np.unique(codes.reshape(3, -1).T, axis=0, return_counts=True)
    generator = np.random.default_rng(seed)
    drawn_RJ = generator.multinomial(len(truth), counts_J / len(truth), size=repeats).astype(float)
    kept = np.unique(triples_J3[:, 0])
    true_JK = triples_J3[:, [0]] == kept
    scores = [_drawn_scores(drawn_RJ, true_JK, triples_J3[:, [at]] == kept) for at in (1, 2)]
    return {name: float(1.96 * (scores[0][name] - scores[1][name]).std()) for name in scores[0]}


def _drawn_scores(
    drawn_RJ: np.ndarray, true_JK: np.ndarray, called_JK: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the scores of `classification_metrics` for every bootstrap sample, (R,) each."""

    def share(part_RK: np.ndarray, whole_RK: np.ndarray) -> np.ndarray:
        return np.divide(part_RK, whole_RK, out=np.zeros_like(part_RK), where=whole_RK > 0)

    right_RK, true_RK, called_RK = (drawn_RJ @ m for m in (true_JK & called_JK, true_JK, called_JK))
    has_RK = true_RK > 0
    macro = {
        "balanced_accuracy": share(right_RK, true_RK),
        "macro_precision": share(right_RK, called_RK),
        "macro_f1": share(2 * right_RK, true_RK + called_RK),
    }
    means = {name: (part_RK * has_RK).sum(1) / has_RK.sum(1) for name, part_RK in macro.items()}
    return {"accuracy": right_RK.sum(axis=1) / drawn_RJ.sum(axis=1), **means}


def expected_calibration_error(correct: np.ndarray, confidence: np.ndarray) -> float:
    """Return the mean gap between accuracy and confidence, the probability of the predicted class.

    ``sum_b n_b / N |accuracy_b - confidence_b|`` over 10 bins of equal width (Guo et al. 2017,
    "On Calibration of Modern Neural Networks", eq. 3).
    """
    bins = np.clip((confidence * CALIBRATION_BINS).astype(int), 0, CALIBRATION_BINS - 1)
    size = np.bincount(bins, minlength=CALIBRATION_BINS)
    hits = np.bincount(bins, weights=correct.astype(float), minlength=CALIBRATION_BINS)
    trust = np.bincount(bins, weights=confidence, minlength=CALIBRATION_BINS)
    return float(np.abs(hits - trust).sum() / max(1, size.sum()))


def confusion(truth: np.ndarray, calls: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return the sorted class names and the matrix of counts, with the truth in rows."""
    classes = sorted(set(truth) | set(calls))
    return classes, confusion_matrix(truth, calls, labels=classes)
