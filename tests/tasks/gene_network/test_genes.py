"""Which genes may regulate and be regulated: named, of the reference, or the most variable ones."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_vocabulary
from sc_mamba2.tasks.gene_network.genes import Choice, choose_pairs
from sc_mamba2.tasks.gene_network.params import GeneParams

NONE_KNOWN = pd.DataFrame(columns=["source", "target"], dtype=str)


def choose(cells: AnnData, known: pd.DataFrame = NONE_KNOWN, **genes) -> Choice:
    return choose_pairs(cells, load_vocabulary(), known, GeneParams(**genes))


def share(cells: AnnData) -> pd.Series:
    """The share of cells that express each gene."""
    return pd.Series((cells.X.toarray() > 0).mean(axis=0), cells.var_names)


def test_without_names_the_most_variable_genes_regulate(cells):
    choice = choose(cells, most_regulators=5, targets=20, expressed_share=0.2)
    assert choice.origin == "most variable genes"
    assert len(choice.regulators) == 5 and len(choice.targets) == 20
    assert set(choice.regulators) <= set(choice.targets)
    assert (share(cells)[choice.targets] >= 0.2).all()
    assert list(choice.targets) == [gene for gene in cells.var_names if gene in choice.targets]
    assert (~choice.pairs()).sum() == 5
    symbols = cells.var["symbol"]
    assert list(choice.target_symbols) == symbols[choice.targets].tolist()
    assert list(choice.regulator_symbols) == symbols[choice.regulators].tolist()


def test_sources_of_the_reference_regulate_those_in_most_cells_first(cells):
    sources = cells.var_names[::3]
    known = pd.DataFrame({"source": [*sources, "ENSG_elsewhere"], "target": cells.var_names[1]})
    choice = choose(cells, known, most_regulators=6, expressed_share=0.1)
    assert choice.origin == "sources of the reference"
    shares = share(cells)[sources].sort_values(ascending=False)
    assert shares[choice.regulators].tolist() == shares.head(6).tolist()


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
