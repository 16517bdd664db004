import numpy as np
import pandas as pd
import pytest
import torch

from sc_mamba2.model.batch_mixing import batch_excess
from sc_mamba2.reporting import score_table, scores_by_method
from sc_mamba2.tasks.batch_correction import nodes
from sc_mamba2.tasks.batch_correction.ablations import variant
from sc_mamba2.tasks.batch_correction.evaluate import describe_data, score_all
from sc_mamba2.tasks.batch_correction.params import HeadParams, KeyParams, LossParams
from sc_mamba2.tasks.batch_correction.report import correction_report
from sc_mamba2.training import ComputeOptions

NAMES = pd.Index([f"c{n}" for n in range(60)])
BATCHES = pd.Series(["x", "y"] * 30, index=NAMES, name="batch")
NO_TRUTH = pd.DataFrame({"label": pd.Series(dtype=str)})


def embedding() -> np.ndarray:
    types = np.arange(60) // 20
    return np.eye(3)[types] * 9 + np.random.default_rng(0).normal(size=(60, 3))


def metrics(model: float, harmony: float) -> dict:
    def scores(value: float) -> dict:
        return {"avg_bio": value, "asw_batch": value}

    read = {"genes": {"total": 9, "matched": 8, "kept": 7}, "remarks": []}
    read["expression"] = {"origin": "X", "kind": "counts"}
    data = describe_data(BATCHES, NO_TRUTH, {"reference": read}) | {"genes_used": 5}
    return {
        "model": scores(model),
        "baselines": {"pca": scores(0.1), "harmony": scores(harmony)},
        "ablations": {"no_adversary": scores(0.95)},
        "data": data,
        "run": {"version": "0", "run_id": "now"},
    }


def test_without_types_only_the_mixing_is_scored():
    found = score_all({"model": embedding()}, NO_TRUTH, BATCHES, None, 0)["model"]
    assert found.keys() & {"avg_bio", "asw_batch", "graph_connectivity"} == set()
    assert found["batch_mixing"] == pytest.approx(1, abs=0.15)


def test_cells_without_a_type_are_left_out_of_the_scores_that_need_one():
    truth = pd.DataFrame({"label": ["a"] * 20 + ["b"] * 20}, index=NAMES[:40])
    found = score_all({"model": embedding()}, truth, BATCHES, None, 0)["model"]
    assert found["avg_bio"] > 0.8 and found["asw_batch"] > 0.8


def test_types_of_one_batch_are_told_as_a_doubt():
    truth = pd.DataFrame({"label": ["odd", "even"] * 30}, index=NAMES)
    (doubt,) = describe_data(BATCHES, truth, {})["doubts"]
    assert doubt["rule"] == "batch-confounded" and "2 of 2 labels" in doubt["remark"]
    mixed = pd.DataFrame({"label": ["a", "a", "b", "b"] * 15}, index=NAMES)
    assert describe_data(BATCHES, mixed, {})["doubts"] == []


def test_a_baseline_that_wins_is_marked_and_said():
    table = score_table(scores_by_method(metrics(0.6, 0.7)), ["avg_bio"], "", "avg_bio")
    assert [table.rows[place][0] for place in table.best] == ["baseline: harmony"]
    page = correction_report(metrics(0.6, 0.7), {}, {"a": "<script>"})
    assert "is BELOW the best baseline, harmony (0.700)" in page
    assert "no_adversary reaches 0.950 (-0.350 for all parts)" in page
    assert "<script>" not in page


def test_without_types_nothing_is_claimed():
    unscored = metrics(0, 0) | {"model": {"batch_mixing": 0.9}}
    assert "whether types were kept cannot be" in correction_report(unscored, {}, {})


def test_variants_leave_out_what_they_are_named_after():
    head, objective = HeadParams(paths=("trunk", "pooled")), LossParams()
    assert variant("no_adversary", head, objective)[1].adversary == 0
    assert variant("no_adversary", head, objective)[0] == head
    assert not variant("no_domain_norm", head, objective)[0].domain_norm
    assert variant("pooled_alone", head, objective)[0].paths == ("pooled",)
    assert variant("pooled_alone", head, objective)[1] == objective


def test_the_cells_that_choose_the_epoch_are_of_every_batch_and_no_training_cells(parts):
    keys = KeyParams(batch_key="batch", validation_share=0.2)
    first, second = nodes.split_validation(parts.tokens, keys, ComputeOptions())
    assert sorted([*first.obs.index, *second.obs.index]) == sorted(parts.tokens.obs.index)
    whole = parts.tokens.obs["batch"].value_counts()
    for batch, count in second.obs["batch"].value_counts().items():
        assert count == round(0.2 * whole[batch])


@pytest.mark.parametrize(("shift", "low", "high"), [(0.0, -0.1, 0.1), (50.0, 1.0, 1.0)])
def test_the_excess_of_the_own_batch_is_none_by_chance_and_one_apart(shift, low, high):
    torch.manual_seed(0)
    batches = (torch.arange(300) % 3 > 0).long()
    found = float(batch_excess(torch.randn(300, 4) + shift * batches[:, None], batches))
    assert low <= found <= high
    assert float(batch_excess(torch.randn(5, 4), torch.zeros(5, dtype=torch.long))) == 0
    assert float(batch_excess(torch.randn(1, 4), torch.zeros(1, dtype=torch.long))) == 0
