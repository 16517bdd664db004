"""The table at the end of a run can be read on a terminal, however many scores there are."""

import json

import pytest

from sc_mamba2.commands.results import show_results


@pytest.mark.parametrize("count", [2, 10])
def test_every_score_is_shown_whole(tmp_path, capsys, count):
    scores = {f"score_{at}": at / 8 for at in range(count)}
    found = {"model": scores, "baselines": {"pca": {"score_0": 0.5}}, "ablations": {"none": scores}}
    (tmp_path / "metrics.json").write_text(json.dumps(found))
    show_results(tmp_path / "metrics.json", {"report": tmp_path / "report.html"})
    text = capsys.readouterr().out
    assert "…" not in text
    for at in range(count):
        assert f"score {at}" in text and f"{at / 8:.3f}" in text
    assert "0.500" in text and "–" in text and "report.html" in text
