"""What stands around names is taken off whatever it is called, and nothing else ever is."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from sc_mamba2.genes import clean_names, load_gene_table, map_genes

TABLE = load_gene_table()
CODING = np.flatnonzero(np.asarray(TABLE.biotypes) == "protein_coding")[:300]
SYMBOLS = [str(TABLE.symbols[row]) for row in CODING]
IDS = [str(TABLE.ids[row]) for row in CODING]
KNOWN = [place for place, name in enumerate(SYMBOLS) if map_genes([name], TABLE).rows[0] >= 0]

PREFIXES = [
    *("GRCh38_", "GRCh38---", "GRCh38-", "GRCh38______", "GRCh38premrna-", "GRCh37.", "hg19_"),
    *(
        "hg38:",
        "hg19---",
        "human_",
        "HUMAN-",
        "Homo_sapiens_",
        "GRCh38-2020-A_",
        "GRCh38_and_mm10_",
    ),
    *("refdata-gex-GRCh38-2024-A--", "T2T-CHM13_", "sample1|", "b37.", "rna_", "RNA-", "x "),
]


def rows_of(names: list[str]) -> list[int]:
    return map_genes(clean_names(names, TABLE).names, TABLE).rows.tolist()


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("names", [SYMBOLS, IDS], ids=["symbols", "ids"])
def test_a_prefix_of_many_names_is_taken_off(names, prefix):
    assert rows_of([prefix + name for name in names]) == rows_of(names)


@pytest.mark.parametrize("prefix", PREFIXES[:8])
def test_it_is_counted(prefix):
    taken = clean_names([prefix + name for name in SYMBOLS], TABLE).taken_off
    assert sum(taken.values()) >= 0.9 * len(KNOWN) and any(prefix in what for what in taken)


@pytest.mark.parametrize(
    "suffix", ["_GRCh38", "-hg19", "---GRCh38", ".human", "_hg38premrna", "__chr11", "__chrX"]
)
def test_a_genome_behind_a_name(suffix):
    assert rows_of([name + suffix for name in SYMBOLS]) == rows_of(SYMBOLS)


FORMS = [
    *("b'{0}'", 'b"{0}"', '"{0}"', "'{0}'", " {0} ", "{0}\t"),
    *("{1}_{0}", "{0}_{1}", "{1}-{0}", "{1}.7|{0}", "{0} ({1})", "{0}|{1}.12", "{1}:{0}"),
]


@pytest.mark.parametrize("form", FORMS)
def test_marks_of_text_and_ids_beside_symbols(form):
    names = [form.format(symbol, ident) for symbol, ident in zip(SYMBOLS, IDS, strict=True)]
    found, expected = rows_of(names), rows_of(IDS if "{1}" in form else SYMBOLS)
    assert found == expected


def test_hyphens_that_r_turned_into_dots():
    hyphened = [name for name in map(str, TABLE.symbols) if "-" in name and "." not in name][:40]
    names = [*SYMBOLS, *hyphened]
    dotted = [name.replace("-", ".") for name in names]
    assert rows_of(dotted) == rows_of(names)
    kept = [*dotted, "HLA-A"]  # a list that has hyphens is as it was
    assert clean_names(kept, TABLE).names == kept


@pytest.mark.parametrize(
    "names",
    [
        ["RP11-34P13.7", "RP11-206L10.9", "CTD-2126E3.1", "AC-000", "LINC-PINT-AS9", "MT-XX1"] * 3,
        ["TBCE.1", "TBCE-1", "CD3E_1", "Cd3e", "cd3e", "MS4A1.2", "GNLY-1", "NKG7-1"] * 3,
        [f"thing_{place}" for place in range(50)],
        [f"MT-{place}" for place in range(50)],
        [f"chr1:{place}-{place + 10}" for place in range(50)],
    ],
)
def test_what_is_no_prefix_stays(names):
    assert clean_names(names, TABLE).names == names


def test_two_genomes_are_told_apart():
    names = [f"GRCh38_{name}" for name in SYMBOLS] + [f"mm10___{name.title()}" for name in SYMBOLS]
    cleaned = clean_names(names, TABLE).names
    assert rows_of(names)[: len(SYMBOLS)] == rows_of(SYMBOLS)
    assert not any(name.startswith("mm10") for name in cleaned)


@given(st.lists(st.sampled_from([str(name) for name in TABLE.symbols]), max_size=30))
@settings(max_examples=50)
def test_names_that_are_known_are_never_changed(names):
    known = [name for name in names if map_genes([name], TABLE).status[0] != "unknown_symbol"]
    assert clean_names(known, TABLE).names == known


@given(st.lists(st.text(max_size=12), max_size=30))
def test_any_text_is_taken(names):
    assert len(clean_names(names, TABLE).names) == len(names)
