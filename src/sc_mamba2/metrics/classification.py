"""How good calls of classes are; scikit-learn counts, only the calibration error is written here."""

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

CALIBRATION_BINS = 10


def classification_metrics(truth: np.ndarray, calls: np.ndarray) -> dict[str, float]:
    """Score calls against the truth, (N,) class names; a class that the caller cannot know counts as wrong.

    Returns
    -------
    dict
        ``accuracy`` and the means over the classes of the truth (macro): ``balanced_accuracy``
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


def expected_calibration_error(correct: np.ndarray, confidence: np.ndarray) -> float:
    """Return the mean gap between confidence, the probability of the called class, and accuracy.

    ``sum_b n_b / N |accuracy_b - confidence_b|`` over 10 bins of equal width (Guo et al. 2017,
    "On Calibration of Modern Neural Networks", eq. 3).
    """
    bins = np.clip((confidence * CALIBRATION_BINS).astype(int), 0, CALIBRATION_BINS - 1)
    size = np.bincount(bins, minlength=CALIBRATION_BINS)
    hits = np.bincount(bins, weights=correct.astype(float), minlength=CALIBRATION_BINS)
    trust = np.bincount(bins, weights=confidence, minlength=CALIBRATION_BINS)
    return float(np.abs(hits - trust).sum() / max(1, size.sum()))


def confusion(truth: np.ndarray, calls: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return the class names, sorted, and the matrix of counts, truth in rows."""
    classes = sorted(set(truth) | set(calls))
    return classes, confusion_matrix(truth, calls, labels=classes)
