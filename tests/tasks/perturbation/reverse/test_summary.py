from sc_mamba2.tasks.perturbation.reverse.summary import HARDLY, summarize


def metrics(cosine: float = 0.5, learnt: bool = False, scored: bool = True) -> dict:
    data = {
        "source": "control",
        "source_cells": 1200,
        "target": "ill",
        "target_cells": 30,
        "first": {"perturbation": "STAT1", "cosine": cosine},
        "candidates": 40,
        "known": [{"learnt": learnt}],
    }
    return {"model": {"mrr": 0.7} if scored else {}, "baselines": {}, "data": data}


def test_the_first_candidate_is_named():
    result, trust, _ = summarize(metrics())
    assert "'control' (1,200 cells) to 'ill' (30 cells), STAT1 ranks first of 40" in result
    assert "mean reciprocal rank 0.700" in trust
    assert "OPTIMISTIC" not in trust and "NO candidate" not in trust


def test_what_flatters_and_what_explains_nothing_is_said():
    assert "TOO OPTIMISTIC" in summarize(metrics(learnt=True))[1]
    assert "NO candidate explains this target well" in summarize(metrics(HARDLY - 0.01))[1]
    assert "cannot be scored on these cells" in summarize(metrics(scored=False))[1]
