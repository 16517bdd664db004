"""The report of scores: a baseline that wins is said, and nothing is claimed without types."""

from tests.tasks.batch_correction.test_evaluate import truth_of

from sc_mamba2.reporting import score_table, scores_by_method
from sc_mamba2.tasks.batch_correction.evaluate import describe_data
from sc_mamba2.tasks.batch_correction.report import correction_report


def metrics(model: float, harmony: float) -> dict:
    def scores(value: float) -> dict:
        return {"avg_bio": value, "asw_batch": value}

    read = {"genes": {"total": 9, "matched": 8, "kept": 7}, "remarks": []}
    read["expression"] = {"origin": "X", "kind": "counts"}
    data = describe_data(truth_of()) | {"reference": read, "genes_used": 5}
    return {
        "model": scores(model),
        "baselines": {"pca": scores(0.1), "harmony": scores(harmony)},
        "ablations": {"no_adversary": scores(0.95)},
        "data": data | {"weights": {"harmony": 0.3, "harmony_scaled": 0.7}},
        "run": {"version": "0", "run_id": "now"},
        "summary": ("came out", "trust", "look"),
    }


def test_a_baseline_that_wins_is_marked_and_said():
    table = score_table(scores_by_method(metrics(0.6, 0.7)), ["avg_bio"], "", "avg_bio")
    assert [table.rows[place][0] for place in table.best] == ["baseline: harmony"]
    page = correction_report(metrics(0.6, 0.7), {}, {"a": "<script>alert(1)"})
    assert "harmony 0.700" in page
    assert "harmony_scaled 70%, harmony 30%. No trained model took part" in page
    assert "no_adversary reaches 0.950 (full model: -0.350)" in page
    assert "<script>alert(1)" not in page


def test_without_types_nothing_is_claimed():
    unscored = metrics(0, 0) | {"model": {"batch_mixing": 0.9}}
    assert "whether types were kept cannot be" in correction_report(unscored, {}, {})
