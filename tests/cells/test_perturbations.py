"""Names of perturbations, and every way in which a table of them can be wrong."""

import pandas as pd
import pytest
from hypothesis import given, strategies as st

from sc_mamba2.cells import (
    NameRules,
    base_and_dose,
    learn_names,
    parts_of,
    read_perturbations,
)
from sc_mamba2.errors import UserError

GENES = st.lists(st.sampled_from(["KLF1", "BAK1", "CEBPE", "SET"]), min_size=1, max_size=4)


def table(**counts: int) -> pd.DataFrame:
    names = [name.replace("_", "+") for name, count in counts.items() for _ in range(count)]
    return pd.DataFrame({"perturbation": pd.Categorical(names)}).rename(index=str)


def read(obs: pd.DataFrame, control: str = "control", fewest: int = 3, **rules: object):
    names, _, remarks = read_perturbations(obs, "perturbation", NameRules(control, **rules), fewest)
    return names, remarks


@given(GENES, st.randoms())
def test_the_order_of_a_combination_does_not_matter(genes, random):
    shuffled = random.sample(genes, len(genes))
    known = learn_names(["control"], NameRules("control"))
    assert known.resolve("+".join(genes)) == known.resolve(" + ".join(shuffled))
    assert parts_of(known.resolve("+".join(genes)), ()) == tuple(sorted(set(genes)))


@pytest.mark.parametrize("name", ["STAT1+", "+STAT1", "STAT1++JAK2"])
def test_a_gene_with_nothing_beside_a_sign_is_refused(name):
    with pytest.raises(UserError, match="perturbation-name"):
        learn_names(["control", name], NameRules("control"))


def test_both_orders_of_a_pair_are_one_perturbation_and_control_is_no_part():
    names, remarks = read(table(control=5, KLF1_BAK1=2, BAK1_KLF1=2, C_control=4))
    assert names.value_counts().to_dict() == {"control": 5, "BAK1+KLF1": 4, "C": 4}
    assert remarks == []


def test_what_is_too_small_or_unlabelled_is_left_out_with_a_remark():
    obs = table(control=5, A=4, B=1)
    obs["perturbation"] = obs["perturbation"].astype(object)
    obs.loc["0", "perturbation"] = None
    names, remarks = read(obs)
    assert set(names) == {"control", "A"} and len(names) == 8
    rules = [remark["rule"] for remark in remarks]
    assert rules == ["perturbation-unlabelled", "perturbation-small"]
    assert "'B' (1)" in remarks[1]["remark"]


@pytest.mark.parametrize(
    "word", ["nan", "unassigned", "Negative", "multiple", "Doublet", "no guide"]
)
def test_cells_without_a_called_guide_are_no_perturbation(word):
    names, remarks = read(table(**{"control": 5, "UNK": 4, word: 3}))
    assert set(names) == {"control", "UNK"}
    (remark,) = [one for one in remarks if one["rule"] == "perturbation-unlabelled"]
    assert f"'{word}' (3)" in remark["remark"]


@pytest.mark.parametrize("word", ["none", "unknown", "negative"])
def test_a_word_of_absence_may_be_the_control(word):
    names, _, _ = read_perturbations(table(**{word: 5, "A": 4}), "perturbation", NameRules(word), 2)
    assert set(names) == {word, "A"}


def test_names_that_differ_in_case_only_and_dates_are_said():
    rules = {one["rule"]: one["remark"] for one in read(table(control=5, STAT1=4, Stat1=4))[1]}
    assert "'STAT1', 'Stat1'" in rules["perturbation-alike"]
    remarks = read(table(**{"control": 5, "1-Sep": 4}))[1]
    assert [one["rule"] for one in remarks] == ["perturbation-dates"]


@pytest.mark.parametrize(
    ("obs", "control", "rule", "says"),
    [
        (table(control=5).rename(columns={"perturbation": "pert"}), "control", "missing", "pert"),
        (table(A=5, B=5), "control", "control-missing", "no cells of the control 'control'"),
        (table(Kontrol=5, A=5), "kontroll", "control-missing", "did you mean 'Kontrol'"),
        (table(control=5, A=5), "contrl", "control-missing", "did you mean 'control'"),
        (table(control=5), "control", "perturbation-none", "holds only 'control'"),
        (table(control=5, A=1, B=1), "control", "perturbation-cells", "1 cells of the most common"),
        (table(control=1, A=5), "control", "perturbation-cells", "1 control cells"),
    ],
)
def test_a_table_that_cannot_be_learnt_from_is_refused(obs, control, rule, says):
    with pytest.raises(UserError, match=rule) as refused:
        read(obs, control)
    assert says in str(refused.value)


def test_doses_stand_behind_the_names():
    obs = table(control=4, A=6)
    obs["dose"] = ["none"] * 4 + [1, 1, 1, 10.5, 10.5, 10.5]
    names, _, _ = read_perturbations(obs, "perturbation", NameRules("control"), 3, "dose")
    assert names.value_counts().to_dict() == {"control": 4, "A@1": 3, "A@10.5": 3}
    assert base_and_dose("A@10.5") == ("A", 10.5)
    assert base_and_dose("TRA@") == ("TRA@", None) and base_and_dose("A") == ("A", None)
    for wrong in (0, -1, "much", None, float("inf")):
        obs.loc["9", "dose"] = wrong
        with pytest.raises(UserError, match="perturbation-dose"):
            read_perturbations(obs, "perturbation", NameRules("control"), 3, "dose")
    with pytest.raises(UserError, match="perturbation-missing"):
        read_perturbations(obs, "perturbation", NameRules("control"), 3, "doze")


def test_a_control_by_a_word_of_absence_is_told_in_any_case():
    obs = table(KLF1=5, None_=5).replace({"None+": "None"})
    with pytest.raises(UserError, match=r"control-missing.*'None'"):
        read(obs, "none")
    with pytest.raises(UserError, match=r"control-missing.*'None'"):
        read(obs, "control")
