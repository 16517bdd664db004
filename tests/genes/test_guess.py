"""What a list of names looks like: each answer, and that no gene's name reads as a date."""

import pytest

from sc_mamba2.genes import guess_contents, load_gene_table

TABLE = load_gene_table()
HUMAN = ["CD3E", "MS4A1", "NKG7", "LYZ"]
MOUSE = ["Cd3e", "Ms4a1", "Nkg7", "mt-Nd1", "H2-Ab1"]
NOISE = ["Gm1992", "0610005C13Rik", "ERCC-00002", "AC123.4", "x", ""]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (HUMAN, "human"),
        (HUMAN + NOISE, "human"),
        (["ENSG00000198851.9", "ENSG99999999999"], "human"),
        ([*HUMAN, "1-Mar", "Cd3e"], "human"),
        (MOUSE, "mouse"),
        (MOUSE + NOISE, "mouse"),
        ([*MOUSE, "1-Mar", "CD3E"], "mouse"),
        (["ENSMUSG00000032093", "ENSMUSG00000024673.9"], "mouse"),
        (NOISE, "unknown"),
        (["AAACCTGAGAAACCAT-1", "AAACCTGAGAAACCGC-1"], "unknown"),
        ([], "unknown"),
        ([*NOISE, "2-Sep"], "spreadsheet-dates"),
    ],
)
def test_looks_like(names, expected):
    assert guess_contents(names) == expected


@pytest.mark.parametrize(
    "name",
    ["1-Mar", "10-SEP", "Sep-02", "2021-03-01", "2021-03-01 00:00:00", "3/1/2021", "1-Dec-21"],
)
def test_dates(name):
    assert guess_contents([name]) == "spreadsheet-dates"


@pytest.mark.parametrize("name", ["SEPT2", "MARCH1", "DEC1", "Oct-4", "OCT-4", "32-Mar", "1-Mai"])
def test_no_dates(name):
    assert guess_contents([name, *NOISE]) == "unknown"


def test_shipped_symbols_are_human_and_their_mouse_form_is_mouse():
    coding = TABLE.symbols[TABLE.biotypes == "protein_coding"]
    assert (
        guess_contents(TABLE.symbols)
        == guess_contents(TABLE.ids)
        == guess_contents(coding)
        == "human"
    )
    assert guess_contents(symbol.capitalize() for symbol in coding) == "mouse"
