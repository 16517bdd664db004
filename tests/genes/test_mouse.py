"""Mouse genes by the one human gene that each stands for."""

import pandas as pd
import pytest

from sc_mamba2.genes import MOUSE, is_foreign, load_gene_table, map_genes
from sc_mamba2.genes.build_mouse import build_mouse

HUMAN, TABLE = load_gene_table(), load_gene_table(MOUSE)


def test_ids_and_symbols_of_the_mouse_lead_to_the_human_gene():
    names = [
        "Cd3e",
        "ENSMUSG00000032093",
        "ENSMUSG00000032093.5",
        "mt-Nd1",
        "Cd8a_ENSMUSG00000053977",
    ]
    mapping = map_genes(names, TABLE)
    symbols = [HUMAN.symbols[row] for row in mapping.rows]
    assert symbols == ["CD3E", "CD3E", "CD3E", "MT-ND1", "CD8A"]
    assert [HUMAN.ids[row] for row in mapping.rows] == mapping.ensembl_ids.tolist()
    assert TABLE.symbols[mapping.rows[0]] == "Cd3e", "what is written keeps the mouse's name"


def test_genes_without_one_partner_are_told_from_unknown_ones():
    mapping = map_genes(["Gm26206", "ENSMUSG00000064842", "nonsense", "CD3E"], TABLE)
    assert mapping.status.tolist() == [
        "no_partner",
        "no_partner",
        "unknown_symbol",
        "unknown_symbol",
    ]
    counts = mapping.counts()
    assert (counts["matched"], counts["no_partner"], counts["unknown"]) == (0, 2, 2)


def test_every_human_gene_has_one_mouse_gene_at_most():
    rows = list(TABLE.row_of_symbol.values())
    assert len(rows) == len(set(rows)) > 16_000
    assert set(TABLE.row_of_id.values()) <= set(rows)
    upper = sum(HUMAN.symbols[row] == s.upper() for s, row in TABLE.row_of_symbol.items())
    assert upper > 0.85 * len(rows)


@pytest.mark.parametrize(
    ("name", "of_human", "of_mouse"),
    [
        ("CD3E", False, True),
        ("Cd3e", True, False),
        ("ENSG00000198851", False, True),
        ("ENSMUSG00000032093", True, False),
        ("Gm26206", False, False),
        ("nonsense", False, False),
    ],
)
def test_what_is_foreign_depends_on_the_species(name, of_human, of_mouse):
    assert (is_foreign(name, HUMAN), is_foreign(name, TABLE)) == (of_human, of_mouse)


def test_pairs_that_share_a_gene_are_none():
    genes = pd.DataFrame(
        {
            "ensembl_id": [f"ENSMUSG0000000000{n}" for n in range(5)],
            "symbol": ["Cd3e", "Cd4", "Cd8a", "Twice", "Twice"],
        }
    )
    pairs = [("CD3E", "Cd3e"), ("CD4", "Cd4"), ("CD4", "Cd4b"), ("CD8A", ""), ("CD2", "Old")]
    table = build_mouse(genes, pd.DataFrame(pairs, columns=["human", "mouse"]), HUMAN)
    found = dict(zip(table["symbol"], table["human_id"], strict=True))
    assert found == {
        "Cd3e": "ENSG00000198851",
        "Cd4": "",
        "Cd8a": "",
        "Twice": "",
        "Old": "ENSG00000116824",
    }
    assert len(table) == 6 and table["ensembl_id"].iloc[-1] == ""
