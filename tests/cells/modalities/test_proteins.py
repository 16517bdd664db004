import numpy as np
import pytest
from anndata import AnnData

from sc_mamba2.cells.modalities.proteins import (
    bare_name,
    coding_genes,
    protein_aliases,
    standardise_proteins,
)
from sc_mamba2.cells.simulate_pairs import simulate_rna_protein
from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table

TABLE = load_gene_table()


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("CD3_TotalSeqB", "CD3E"),
        ("CD8a", "CD8A"),
        ("CD45RA-TotalSeqC", "PTPRC"),
        ("anti-human CD56", "NCAM1"),
        ("PD-1", "PDCD1"),
        ("CD79b", "CD79B"),
        ("TIGIT", "TIGIT"),
        ("HLA-DR_prot", "HLA-DRA"),
        ("IgG1 control", None),
    ],
)
def test_proteins_find_the_genes_that_code_for_them(name, symbol):
    expected = "" if symbol is None else TABLE.ids[TABLE.row_of_symbol[symbol]]
    assert coding_genes([name], TABLE) == [expected]


def test_every_alias_leads_to_one_gene_of_the_table():
    assert len(protein_aliases()) > 120
    assert all(symbol in TABLE.row_of_symbol for symbol in protein_aliases().values())
    assert bare_name("ADT_CD4") == "CD4" and bare_name("CD4") == "CD4"


def test_the_standard_form_has_identities_and_the_counts():
    cells = simulate_rna_protein(20, 60)["protein"]
    found, report = standardise_proteins(cells, TABLE, zero_negative=False)
    assert list(found.var_names[:2]) == ["protein:CD3", "protein:CD4"]
    assert (found.X != cells.X).nnz == 0 and found.X.dtype == np.float32
    assert report == {"total": 10, "with_gene": 10, "counts": True, "remarks": []}
    cells.layers["counts"] = cells.X.copy()
    cells.X = cells.X.toarray() - 5.5
    again, _ = standardise_proteins(cells, TABLE, zero_negative=False)
    assert (again.X != found.X).nnz == 0


def test_negative_values_are_refused_or_become_background():
    values = np.array([[-1.5, 2.0], [0.5, -0.1]])
    with pytest.raises(UserError, match="zero_negative") as caught:
        standardise_proteins(AnnData(X=values), TABLE, zero_negative=False)
    assert caught.value.rule == "protein-negative"
    found, report = standardise_proteins(AnnData(X=values), TABLE, zero_negative=True)
    assert found.X.toarray().tolist() == [[0, 2], [0.5, 0]]
    assert [remark["rule"] for remark in report["remarks"]] == ["protein-normalised"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_values_that_are_no_numbers_or_all_zero_are_refused(bad):
    values = np.zeros((3, 2))
    values[0, 0] = bad
    with pytest.raises(UserError) as caught:
        standardise_proteins(AnnData(X=values), TABLE, zero_negative=True)
    assert caught.value.rule == "protein-values"
