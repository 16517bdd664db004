"""What the report says of who found the known edges best."""

from sc_mamba2.tasks.gene_network.report import verdict


def test_the_best_is_named_and_each_is_compared():
    metrics = {
        "model": {"auprc_ratio": 1.5},
        "baselines": {"correlation": {"auprc_ratio": 2.0}},
        "ablations": {"cosine alone": {"auprc_ratio": 1.0}},
    }
    first, *others = verdict(metrics)
    assert first == "Best by AUPRC ratio: correlation; 1 is chance."
    assert "BELOW the best baseline by AUPRC ratio (1.500, correlation 2.000)" in others[0]
    assert "cosine alone (1.000)" in others[1]


def test_without_known_edges_nothing_is_claimed():
    (words,) = verdict({"model": {}, "baselines": {}, "ablations": {}})
    assert "the accuracy of the edges is unknown" in words
