"""The gene table: what is in it, and what its look-ups leave out."""

import numpy as np
import pytest

from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table

TABLE = load_gene_table()


@pytest.mark.parametrize(
    ("ident", "symbol", "biotype"),
    [
        ("ENSG00000198851", "CD3E", "protein_coding"),
        ("ENSG00000156738", "MS4A1", "protein_coding"),
        ("ENSG00000229807", "XIST", "lncRNA"),
        ("ENSG00000198888", "MT-ND1", "protein_coding"),
    ],
)
def test_known_genes(ident, symbol, biotype):
    row = TABLE.row_of_id[ident]
    assert (TABLE.ids[row], TABLE.symbols[row], TABLE.biotypes[row]) == (ident, symbol, biotype)
    assert TABLE.row_of_symbol[symbol] == row


def test_sizes():
    assert len(TABLE) == len(TABLE.symbols) == len(TABLE.biotypes) == len(TABLE.row_of_id) == 62_754
    assert len(TABLE.row_of_alias_id) == 16
    # v38 has 60,664 ids, 60,517 of them in v44
    assert len(TABLE.row_of_alias_id) + len(TABLE.retired) == 60_664 - 60_517


def test_lookups_do_not_overlap():
    ids = [TABLE.row_of_id.keys(), TABLE.row_of_alias_id.keys(), TABLE.retired.keys()]
    names = [TABLE.row_of_symbol.keys(), TABLE.row_of_alias_symbol.keys(), TABLE.ambiguous_symbols]
    for parts in (ids, names):
        assert sum(map(len, parts)) == len(set().union(*parts)) > 0


def test_every_symbol_is_unique_or_ambiguous():
    symbols, counts = np.unique(TABLE.symbols.astype(str), return_counts=True)
    assert TABLE.row_of_symbol.keys() == set(symbols[counts == 1])
    assert set(symbols[counts > 1]) <= TABLE.ambiguous_symbols
    assert "Y_RNA" in TABLE.ambiguous_symbols
    assert not any("_ENSG" in symbol for symbol in symbols)


def test_older_symbols_of_the_small_table(small_table):
    # B and A are symbols today; SHARED had two genes, LOST was a retired gene's too
    assert small_table.row_of_alias_symbol == {"OLD": 0}
    assert small_table.ambiguous_symbols == {"B", "SHARED", "LOST"}
    assert small_table.row_of_symbol == {"A": 0, "C": 3, "D": 4}
    assert small_table.row_of_alias_id == {"ENSG00000000091": 0, "ENSG00000000092": 0}


def test_loaded_once_and_read_only():
    assert load_gene_table("gencode-v44") is load_gene_table()
    with pytest.raises(ValueError, match="read-only"):
        TABLE.ids[0] = "x"


def test_unknown_table_suggests_the_nearest():
    with pytest.raises(UserError, match="did you mean 'gencode-v44'") as caught:
        load_gene_table("gencode_v43")
    assert caught.value.rule == "unknown-gene-table"
