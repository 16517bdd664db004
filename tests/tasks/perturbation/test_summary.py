from sc_mamba2.tasks.perturbation.summary import summarize


def metrics(spread: float = 0.5, seen: str = "measured here", scored: bool = True) -> dict:
    predicted = {"perturbation": "KLF1", "seen": seen, "genes_changed": 1234}
    data = {"predicted": predicted | {"ensemble_spread_over_change": spread}}
    data |= {"scored": ["A", "B"], "mean_ceiling": 0.8}
    return {"model": {"pearson_delta": 0.4} if scored else {}, "baselines": {}, "data": data}


def test_the_effect_and_its_trust():
    result, trust, _ = summarize(metrics())
    assert "effect of KLF1 (measured)" in result and "1,234 genes change" in result
    assert "On 2 held-out perturbations: Pearson delta 0.400" in trust and "0.80" in trust
    assert "(never measured)" in summarize(metrics(seen="never"))[0]


def test_a_prediction_below_its_uncertainty_is_none():
    assert "treat it as no prediction" in summarize(metrics(spread=1.1))[1]
    assert "Nothing was held out" in summarize(metrics(scored=False))[1]
