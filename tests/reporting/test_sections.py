"""Sections that reports share: who won in words, what was read, what an output means."""

from sc_mamba2.reporting import (
    Picture,
    ablation_sentences,
    pictures_section,
    read_section,
    written_section,
)

METRICS = {
    "model": {"f1": 0.5},
    "baselines": {"pca": {"f1": 0.7}, "knn": {"f1": 0.6}, "ridge": {"r": 0.9}},
    "ablations": {"no_trunk": {"f1": 0.45}, "none": {}},
}
READ = {
    "expression": {"origin": "X", "kind": "counts"},
    "genes": {"total": 9000, "matched": 8000, "retired": 0, "unknown": 12, "kept": 0},
    "remarks": [{"remark": "two genes are one", "rule": "genes-twice"}],
}


def test_the_parts_are_told_where_there_is_a_score():
    assert ablation_sentences("f1", "F1", METRICS) == [
        "F1: no_trunk reaches 0.450 (full model: +0.050)."
    ]
    assert ablation_sentences("r", "R", METRICS) == []


def test_what_was_read_is_counted_and_zero_is_no_news():
    doubt = {"remark": "first", "rule": "of-the-task"}
    section = read_section(READ, [("cells", 1200), ("split", "by hand")], [doubt])
    assert section.paragraphs == ["first (of-the-task).", "two genes are one (genes-twice)."]
    assert section.tables[0].rows == [
        ["expression", "X (counts)"],
        ["cells", "1,200"],
        ["split", "by hand"],
        ["genes total", "9,000"],
        ["genes matched", "8,000"],
        ["genes unknown", "12"],
        ["genes kept", "0"],
    ]


def test_pictures_have_captions_and_keys_have_meanings():
    section = pictures_section({"b": b"2", "a": b"1"}, [Picture("a", "The first", print)])
    assert list(section.pictures.items()) == [("b", b"2"), ("The first", b"1")]
    (table,) = written_section("key of x.h5ad", {'uns["scm"]': "all"}).tables
    assert table.header == ["key of x.h5ad", "meaning"] and table.rows == [['uns["scm"]', "all"]]
