"""Which genes may regulate and be regulated: named, or transcription factors."""

import logging

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from sc_mamba2.cells import simulate_cells, standardise
from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table, load_vocabulary
from sc_mamba2.genes.transcription_factors import transcription_factors
from sc_mamba2.tasks.gene_network.genes import Choice, choose_pairs
from sc_mamba2.tasks.gene_network.params import GeneParams


def choose(cells: AnnData, **genes) -> Choice:
    return choose_pairs(cells, load_vocabulary(), GeneParams(**genes), load_gene_table())


def share(cells: AnnData) -> pd.Series:
    """The share of cells that express each gene."""
    return pd.Series((cells.X.toarray() > 0).mean(axis=0), cells.var_names)


def test_expressed_transcription_factors_regulate_those_in_most_cells_first():
    cells = standardise(simulate_cells(60, 400), load_gene_table())[0]
    shares = share(cells)
    factors = shares[cells.var_names.isin(transcription_factors())]
    factors = factors[factors >= 0.1].sort_values(ascending=False, kind="stable")
    assert len(factors) > 2
    choice = choose(cells, targets=20, expressed_share=0.1)
    assert choice.origin == "expressed transcription factors"
    assert list(choice.regulators) == list(factors.index) and len(choice.targets) == 20
    assert (shares[choice.targets] >= 0.1).all()
    assert list(choice.targets) == [gene for gene in cells.var_names if gene in choice.targets]
    symbols = cells.var["symbol"]
    assert list(choice.target_symbols) == symbols[choice.targets].tolist()
    assert list(choice.regulator_symbols) == symbols[choice.regulators].tolist()
    fewer = choose(cells, most_regulators=2, expressed_share=0.1)
    assert fewer.origin.endswith(f"of {len(factors)} those in most cells")
    assert list(fewer.regulators) == list(factors.index[:2])


def test_where_no_factor_is_expressed_the_most_variable_genes_regulate_with_a_warning(
    cells, caplog
):
    others = cells[:, ~cells.var_names.isin(transcription_factors())].copy()
    with caplog.at_level(logging.WARNING):
        choice = choose(others, most_regulators=5, targets=20)
    assert choice.origin.startswith("most variable genes") and "--genes" in caplog.text
    assert len(choice.regulators) == 5 and set(choice.regulators) <= set(choice.targets)
    assert (~choice.pairs()).sum() == 5


def test_names_by_symbol_id_and_file_are_each_taken_once(cells, tmp_path):
    expressed = share(cells).nlargest(3).index
    symbols = cells.var["symbol"]
    named = f"{symbols[expressed[0]]}, {expressed[1]},{symbols[expressed[0]]}"
    assert list(choose(cells, regulators=named).regulators) == list(expressed[:2])
    file = tmp_path / "genes.txt"
    file.write_text("\n".join(symbols[expressed]) + "\n", "utf-8")
    choice = choose(cells, regulators=str(file), targets=10)
    assert list(choice.regulators) == list(expressed) and choice.origin == "named"


def test_a_named_gene_that_no_cell_expresses_is_left_out(cells):
    silent = share(cells).idxmin()
    cells = cells.copy()
    cells.X[:, cells.var_names.get_loc(silent)] = 0
    cells.X.eliminate_zeros()
    other = share(cells).idxmax()
    assert list(choose(cells, regulators=f"{silent},{other}").regulators) == [other]
    with pytest.raises(UserError) as refusal:
        choose(cells, regulators=silent)
    assert refusal.value.rule == "regulators-none"


@pytest.mark.parametrize(
    ("genes", "rule"),
    [
        ({"regulators": "STAT1,NOSUCHGENE"}, "gene-unknown"),
        ({"regulators": "nowhere.txt"}, "regulators-file"),
        ({"regulators": " , "}, "regulators-file"),
        ({"expressed_share": 1.0}, "network-targets"),
    ],
)
def test_what_cannot_be_chosen_is_refused(cells, genes, rule):
    with pytest.raises(UserError) as refusal:
        choose(cells, **genes)
    assert refusal.value.rule == rule


def test_ten_cells_are_enough(cells):
    assert np.isin(choose(cells[:10]).targets, cells.var_names).all()
    with pytest.raises(UserError, match="network-cells"):
        choose(cells[:9])
