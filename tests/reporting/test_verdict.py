"""The verdict names each score, and is no better than the noise."""

import pytest

from sc_mamba2.reporting import baseline_sentences, score_clause


def metrics(margin: float = 0, **model: float) -> dict:
    return {
        "model": model,
        "baselines": {
            "logistic_regression": {"accuracy": 0.80, "macro_f1": 0.75, "mse": 0.3},
            "pca_knn": {"accuracy": 0.70, "macro_f1": 0.78, "mse": 0.2},
        },
        "data": {"margins": {"accuracy": {"logistic_regression": margin, "pca_knn": 0.5}}},
    }


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            {"accuracy": 0.9, "macro_f1": 0.7},
            "The model is best by accuracy (0.900, logistic_regression 0.800); BELOW the best baseline by "
            "macro F1 (0.700, pca_knn 0.780).",
        ),
        (
            {"accuracy": 0.7},
            "BELOW the best baseline by accuracy (0.700, logistic_regression 0.800)",
        ),
        ({"accuracy": 0.8002}, "no better or worse than the best baseline by accuracy (0.800"),
        ({"mse": 0.1}, "best by squared error (0.100, pca_knn 0.200)"),
        ({"mse": 0.25}, "BELOW the best baseline by squared error (0.250, pca_knn 0.200)"),
    ],
)
def test_every_score_has_its_own_winner(model, words):
    assert words in baseline_sentences(metrics(**model))[0]


def test_a_difference_within_noise_is_a_tie_whichever_way_it_goes():
    for own in (0.83, 0.77):
        (words,) = baseline_sentences(metrics(margin=0.05, accuracy=own))
        assert "no better or worse than the best baseline by accuracy" in words
        assert "within noise of 0.050" in words and "BELOW" not in words and "best by" not in words
    assert "best by accuracy" in baseline_sentences(metrics(margin=0.05, accuracy=0.86))[0]


@pytest.mark.parametrize(
    ("own", "scores", "words"),
    [
        (
            {"accuracy": 0.9},
            ["accuracy"],
            "accuracy 0.900, better than the best baseline (logistic_",
        ),
        (
            {"accuracy": 0.8},
            ["accuracy"],
            "accuracy 0.800, no better or worse than the best baseline",
        ),
        ({"accuracy": 0.7}, ["mrr", "accuracy"], "accuracy 0.700, WORSE than the best baseline"),
        (
            {"mse": 0.1},
            ["-mse"],
            "squared error 0.100, better than the best baseline (pca_knn 0.200)",
        ),
        ({"mrr": 0.5}, ["mrr"], "mean reciprocal rank 0.500, with no baseline to compare"),
        ({"mrr": 0.5}, ["accuracy"], ""),
    ],
)
def test_one_score_in_brief(own, scores, words):
    assert score_clause(metrics(**own), *scores).startswith(words)


def test_nothing_is_said_without_a_rival_or_a_score():
    assert baseline_sentences({"model": {"accuracy": 1.0}, "baselines": {}}) == []
    assert baseline_sentences(metrics(other=1.0)) == []
    assert baseline_sentences({"model": {}, "baselines": {"a": {"accuracy": None}}}) == []
