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
        assert f"{at / 8:.3f}" in text
    assert text.count("score") > count
    assert "0.500" in text and "–" in text and "report.html" in text


def test_what_does_not_fit_is_left_to_the_report_and_no_word_is_cut(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    names = ("pearson_delta", "discrimination", "discrimination_cosine", "mse", "direction_match")
    methods = {f"a_method_of_a_long_name_{at}": {names[0]: 0.5} for at in range(9)}
    other = {"without_any_of_these": {"direction_match": 0.5}}
    found = {"model": dict.fromkeys(names, 0.25), "baselines": methods | other, "ablations": {}}
    (tmp_path / "metrics.json").write_text(json.dumps(found))
    show_results(tmp_path / "metrics.json", {})
    text = capsys.readouterr().out
    table = text[: text.index("The model is")]
    assert "…" not in text and max(map(len, table.splitlines())) <= 80
    assert "discrimination" in table and "more scores in the report" in table
    assert "without_any" not in table and all(name in table for name in methods)


def test_the_result_stands_first_in_words_and_shares_alone_make_no_table(tmp_path, capsys):
    found = {"model": {"unassigned_share": 0.1}, "baselines": {}, "ablations": {}}
    found["summary"] = ["10 cells were assigned: 6 T, 4 B.", "Their types are unknown.", "Look."]
    (tmp_path / "metrics.json").write_text(json.dumps(found))
    show_results(tmp_path / "metrics.json", {"report": tmp_path / "report.html"})
    text = capsys.readouterr().out
    assert text.startswith("10 cells were assigned: 6 T, 4 B. Their types are unknown.")
    assert "unassigned" not in text and "Look" not in text
