import numpy as np

from sc_mamba2.genes import load_gene_table
from sc_mamba2.genes.pathways import pathway_features


def ident(symbol: str) -> str:
    table = load_gene_table()
    return str(table.ids[table.row_of_symbol[symbol]])


def test_genes_of_one_complex_share_their_pathways_and_others_none():
    first, second, other, nowhere = pathway_features(
        [[ident("IFNGR1")], [ident("IFNGR2")], [ident("CUL3")], ["ENSG00000000000"]]
    )
    np.testing.assert_allclose(first, second)
    assert first @ first > 0 and other @ other > 0 and first @ other == 0
    assert not nowhere.any()


def test_a_group_is_the_sum_of_its_genes_and_a_set_counts_by_its_size():
    one, two, both, none = pathway_features(
        [[ident("IFNGR1")], [ident("CUL3")], [ident("IFNGR1"), ident("CUL3")], []]
    )
    np.testing.assert_allclose(both, one + two)
    assert not none.any()
    sizes = one[one > 0] ** -2
    np.testing.assert_allclose(sizes, sizes.round())
    assert sizes.min() >= 2 and sizes.max() <= 500


def test_no_group_known_has_no_set():
    assert pathway_features([[""], []]).shape == (2, 0)
