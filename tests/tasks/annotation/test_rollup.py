import json

import numpy as np
import pandas as pd
import pytest

from sc_mamba2.errors import UserError
from sc_mamba2.tasks.annotation.rollup import broad_truth, read_rollup, roll_up

LABELS = ("B", "CD4 T", "CD8 T")
ROLLUP = {"B": "B cell", "CD4 T": "T cell", "CD8 T": "T cell", "NKT": "T cell"}


def test_probabilities_are_summed_so_that_two_halves_beat_one():
    probability_NK = np.array([[0.4, 0.3, 0.3], [0.7, 0.2, 0.1]])
    names, confidence = roll_up(probability_NK, LABELS, ROLLUP)
    assert list(names) == ["T cell", "B cell"]
    assert confidence == pytest.approx([0.6, 0.7])


def test_both_formats_are_read(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(ROLLUP))
    lines = ["fine,broad", *(f"{fine},{broad}" for fine, broad in ROLLUP.items())]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    for name in ("a.json", "a.csv"):
        assert read_rollup(str(tmp_path / name), LABELS) == ROLLUP


def test_the_truth_may_be_fine_or_broad_and_what_is_not_mapped_is_left_out():
    truth = pd.Series(["CD8 T", "NKT", "T cell", "platelet"], index=list("abcd"))
    broad = broad_truth(truth, ROLLUP)
    assert broad.to_dict() == dict.fromkeys("abc", "T cell")


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("no.json", None, "rollup-file"),
        ("a.json", "{", "rollup-file"),
        ("a.json", "[1]", "rollup-file"),
        ("a.csv", "a,b,c\n1,2,3\n", "rollup-file"),
        ("a.csv", "", "rollup-file"),
        ("a.csv", "fine,broad\nB,B cell\nCD4 T,T cell\n", "rollup-labels"),
    ],
)
def test_what_is_refused(tmp_path, name, text, rule):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError) as caught:
        read_rollup(str(tmp_path / name), LABELS)
    assert caught.value.rule == rule
