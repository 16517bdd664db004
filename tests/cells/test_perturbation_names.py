"""What names mean: each variant that files and requests of the field hold, by itself and among others."""

import pandas as pd
import pytest

from sc_mamba2.cells import NameRules, base_and_dose, learn_names, parts_of, read_perturbations
from sc_mamba2.cells.perturbation_names import gene_of, symbol_of
from sc_mamba2.errors import UserError

GENES = ["control", "STAT1", "JAK2", "KLF1"]
DRUGS = ["DMSO", "JQ1", "LPS", "(+)-JQ1", "Poly(I:C)+Zymosan"]


def resolved(name: str, labels: list[str], control: str, **rules: object) -> str:
    """The meaning of a name in a file that holds it, and in a request beside a file that does not."""
    rules = NameRules(control, **rules)
    inside = learn_names([*labels, name], rules)
    assert learn_names(labels, rules).resolve(name) == inside.resolve(name)
    # What a name is resolved to means itself.
    assert inside.resolve(inside.resolve(name)) == inside.resolve(name)
    return inside.resolve(name)


@pytest.mark.parametrize(
    ("name", "meaning"),
    {
        "STAT1": "STAT1",
        " STAT1 ": "STAT1",
        "STAT1+ctrl": "STAT1",
        "ctrl+STAT1": "STAT1",
        "STAT1 + control ": "STAT1",
        "NegCtrl0_STAT1": "STAT1",
        "ctrl+ctrl": "control",
        "JAK2+STAT1": "JAK2+STAT1",
        "STAT1+JAK2": "JAK2+STAT1",
        "STAT1_JAK2": "JAK2+STAT1",
        "STAT1|JAK2": "JAK2+STAT1",
        "STAT1;JAK2": "JAK2+STAT1",
        "STAT1, JAK2": "JAK2+STAT1",
        "STAT1&JAK2": "JAK2+STAT1",
        "STAT1/JAK2": "JAK2+STAT1",
        "AHR_KLF1": "AHR+KLF1",
        "AHR_KLF1__AHR_KLF1": "AHR+KLF1",
        "ENSG00000115415": "STAT1",
        "ENSG00000115415.19": "STAT1",
        "ENSG00000115415_g1": "STAT1",
        "STAT1_ENSG00000115415": "STAT1",
        "ENSG00000115415+ENSG00000096968": "JAK2+STAT1",
        "NKX2-1": "NKX2-1",
        "HLA-A": "HLA-A",
        "KRAS_G12D": "KRAS_G12D",
        "enhancer_7_JAK2": "enhancer_7_JAK2",
        "chr1:1000-2000": "chr1:1000-2000",
        "JAK2@3": "JAK2@3",
        "JAK2 @ 3.0": "JAK2@3",
        "JAK2@ site": "JAK2@ site",
    }.items(),
)
def test_a_name_in_a_screen_of_genes(name, meaning):
    assert resolved(name, GENES, "control") == meaning


@pytest.mark.parametrize(
    ("name", "target"),
    {
        "STAT1_g1": "STAT1",
        "STAT1_sg2": "STAT1",
        "STAT1-sgRNA3": "STAT1",
        "STAT1_guide_2": "STAT1",
        "STAT1g2": "STAT1",
        "sgSTAT1": "STAT1",
        "sgSTAT1-2": "STAT1",
        "sgRNA_STAT1_1": "STAT1",
        "p_sgELF1_1": "ELF1",
        "STAT1-1": "STAT1",
        "STAT1_2": "STAT1",
        "STAT1.3": "STAT1",
        "STAT1-KO": "STAT1",
        "KLF1_OE_2": "KLF1",
        "STAT1_ACGTACGTTGCAACGTTGCA": "STAT1",
        "BHLHE40_pDS258": "BHLHE40",
        "STAT1_pos_342_strand+": "STAT1",
        "AAAS_+_53715438.23-P1P2": "AAAS",
        "AAAS_+_53715438.23-P1P2|AAAS_-_53715355.23-P1P2": "AAAS",
        "AAAS_+_53715438.23-P1P2|BRCA1_-_4.23-P1P2": "AAAS+BRCA1",
        "sgNKX2-1": "NKX2-1",
        "NKX2-1_2": "NKX2-1",
        "HLA-A-2": "HLA-A",
        "STAT1_g1+JAK2_g2": "JAK2+STAT1",
        "sgSTAT1|sgJAK2": "JAK2+STAT1",
    }.items(),
)
def test_a_guide_is_its_target_unless_guides_are_kept_apart(name, target):
    assert resolved(name, GENES, "control") == target
    apart = resolved(name, GENES, "control", join_guides=False)
    assert apart != target


@pytest.mark.parametrize(
    "name",
    [
        "ctrl", "Control", "CTRL", "NT", "nt_3", "NTg1", "NTC", "non-targeting", "non_targeting_00012",
        "Non-Targeting-Human-00012", "nontargeting", "sgNT-1", "sgControl_3", "negctrl", "NegCtrl10",
        "neg_ctrl", "unperturbed", "safe-targeting", "safe_targeting_7", "scramble", "NO_SITE_3",
        "NegCtrl0_NegCtrl0__NegCtrl0_NegCtrl0", "non-targeting_03789|non-targeting_00012",
    ],
)  # fmt: skip
@pytest.mark.parametrize("control", ["control", "non-targeting"])
def test_a_spelling_of_the_control_is_the_control(name, control):
    known = learn_names(["STAT1", name], NameRules(control))
    assert known.resolve(name) == control and known.resolve(f"STAT1+{name}") == "STAT1"


@pytest.mark.parametrize("name", ["DMSO", "DMSO_2", "vehicle", "untreated", "mock"])
def test_another_kind_of_control_is_taken_where_the_named_one_is_lacking_alone(name):
    assert learn_names(["STAT1", name], NameRules("control")).resolve(name) == "control"
    assert learn_names(["STAT1", "ctrl", name], NameRules("control")).resolve(name) == name
    assert learn_names(["A", "mock", "unstim"], NameRules("control")).resolve("mock") == "mock"


@pytest.mark.parametrize("name", ["NT5E", "CTRB1", "NEGR1", "SAFB"])
def test_a_gene_that_looks_like_a_control_is_a_gene(name):
    assert resolved(name, GENES, "control") == name


@pytest.mark.parametrize(
    ("name", "meaning"),
    {
        "(+)-JQ1": "(+)-JQ1",
        "(+)-JQ2": "(+)-JQ2",
        "D-(+)-Glucose": "D-(+)-Glucose",
        "(+/-)-Nutlin-3": "(+/-)-Nutlin-3",
        "Poly(I:C)+Zymosan": "Poly(I:C)+Zymosan",
        "Poly(I:C) + LPS": "Poly(I:C) + LPS",
        "Ca2+": "Ca2+",
        "CD4+": "CD4+",
        "JQ1+LPS": "JQ1+LPS",
        "LPS+JQ1": "JQ1+LPS",
        "LPS + DMSO": "LPS",
        "(+)-JQ1+LPS": "(+)-JQ1+LPS",
        "LPS+(+)-JQ1": "(+)-JQ1+LPS",
        "BI-2536": "BI-2536",
        "GSK-J4": "GSK-J4",
        "STAT1_g1": "STAT1_g1",
        "ENSG00000115415": "ENSG00000115415",
        "Compound @ site": "Compound @ site",
        "JQ1@1e+5": "JQ1@100000",
        "(+)-JQ1@0.5": "(+)-JQ1@0.5",
    }.items(),
)
def test_a_name_in_a_screen_of_compounds(name, meaning):
    assert resolved(name, DRUGS, "DMSO", genes=False) == meaning


def test_a_whole_name_has_one_part_also_in_a_combination_and_with_a_dose():
    known = learn_names(DRUGS, NameRules("DMSO", genes=False))
    assert {"(+)-JQ1", "Poly(I:C)+Zymosan"} == known.whole
    assert parts_of("Poly(I:C)+Zymosan@3", known.whole) == ("Poly(I:C)+Zymosan@3",)
    name = known.resolve("Poly(I:C)+Zymosan+JQ1")
    assert parts_of(name, known.whole) == ("JQ1", "Poly(I:C)+Zymosan")


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("A@10.5", ("A", 10.5)), ("A @ 1e-3", ("A", 0.001)), ("TRA@", ("TRA@", None)), ("A", ("A", None)),
        ("A@nan", ("A@nan", None)), ("A@inf", ("A@inf", None)), ("A@-1", ("A@-1", None)),
        ("A@1_0", ("A@1_0", None)), ("@5", ("@5", None)), ("A@ site", ("A@ site", None)),
    ],
)  # fmt: skip
def test_a_dose_is_a_number_behind_the_sign(part, expected):
    assert base_and_dose(part) == expected


def test_a_dose_of_nothing_is_refused():
    with pytest.raises(UserError, match="perturbation-dose"):
        learn_names(["control", "A@0"], NameRules("control")).resolve("A@0")


def test_a_gene_goes_by_the_spelling_of_the_file_and_by_todays_symbol_where_there_are_two():
    today = symbol_of(gene_of("RP11-34P13.7"))
    by_old = learn_names(["control", "RP11-34P13.7"], NameRules("control"))
    assert by_old.resolve("RP11-34P13.7") == by_old.resolve(today) == "RP11-34P13.7"
    both = learn_names(["control", "RP11-34P13.7", today], NameRules("control"))
    assert both.resolve("RP11-34P13.7") == both.resolve(today) == today


def read(labels: list[str], control: str = "control", **rules: object):
    obs = pd.DataFrame({"p": [label for label in labels for _ in range(3)]}).rename(index=str)
    names, _, remarks = read_perturbations(obs, "p", NameRules(control, **rules), 3)
    return set(names), {remark["rule"]: remark["remark"] for remark in remarks}


def test_what_was_read_otherwise_than_it_stands_is_said_and_the_mends_work():
    labels = ["NT_1", "NT_2", "STAT1_g1", "STAT1_g2", "JAK2", "AHR_KLF1", "Foo+Bar", "untreated"]
    names, remarks = read(labels)
    assert names == {"control", "STAT1", "JAK2", "AHR+KLF1", "Foo+Bar", "untreated"}
    assert (
        "2 guides were pooled into 1 targets ('STAT1_g1' as 'STAT1'"
        in (remarks["perturbation-guides"])
    )
    assert "2 names were read as the control" in remarks["control-spelled"]
    assert "join_guides=false" in remarks["perturbation-guides"]
    apart, remarks = read(labels, join_guides=False)
    assert {"STAT1_g1", "STAT1_g2"} < apart and "perturbation-guides" not in remarks
    assert (
        "'Foo+Bar'" in remarks["perturbation-whole"] and "'untreated'" in remarks["control-likely"]
    )
    split, remarks = read(labels, joined_by="+")
    assert "Bar+Foo" in split and "AHR_KLF1" in split and "perturbation-whole" not in remarks
    assert "Foo+Bar" in read(labels, joined_by="")[0]
    called = [label.replace("untreated", "control") for label in labels]
    assert "control-likely" not in read(called)[1]


def test_a_plain_file_needs_no_remark():
    assert read(["control", "STAT1+ctrl", "JAK2", "JAK2+STAT1"])[1] == {}
