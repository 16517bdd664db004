"""Known edges: every form of file, levels, names, and which pairs they are."""

import numpy as np
import pandas as pd
import pytest

from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table, map_genes
from sc_mamba2.tasks.gene_network.params import ReferenceParams
from sc_mamba2.tasks.gene_network.reference import known_pairs, read_reference

GENES = load_gene_table()
STAT1, IRF7, TP53 = map_genes(["STAT1", "IRF7", "TP53"], GENES).ensembl_ids
TABLE = pd.DataFrame(
    {
        "tf": ["STAT1", "STAT1", "IRF7", "IRF7", "STAT1", "STAT1"],
        "target": ["IRF7", IRF7, "TP53", "STAT1", "STAT1", "NOSUCHGENE"],
        "confidence": ["A", "B", "C", "D", "A", "A"],
    }
)


def read(path, **levels) -> set[tuple[str, str]]:
    edges = read_reference(ReferenceParams(reference_network=str(path), **levels), GENES)
    assert list(edges.columns) == ["source", "target"] and not edges.duplicated().any()
    return set(edges.itertuples(index=False, name=None))


@pytest.mark.parametrize("name", ["k.csv", "k.csv.gz", "k.tsv", "k.txt", "k.parquet"])
def test_every_form_gives_known_edges_of_the_levels_between_two_genes(tmp_path, name):
    path = tmp_path / name
    if name == "k.parquet":
        TABLE.to_parquet(path)
    else:
        TABLE.to_csv(path, sep="," if ".csv" in name else "\t", index=False)
    assert read(path) == {(STAT1, IRF7), (IRF7, TP53)}
    assert read(path, levels=("D",)) == {(IRF7, STAT1)}


def test_without_confidence_all_edges_count_and_without_a_name_there_are_none(tmp_path):
    TABLE.drop(columns="confidence").rename(columns={"tf": "source"}).to_csv(tmp_path / "k.csv")
    assert read(tmp_path / "k.csv") == {(STAT1, IRF7), (IRF7, TP53), (IRF7, STAT1)}
    assert read_reference(ReferenceParams(), GENES).empty


def test_unusable_files_are_refused(tmp_path):
    (tmp_path / "columns.csv").write_text("a,b\n1,2\n")
    (tmp_path / "broken.parquet").write_text("no table")
    TABLE.to_csv(tmp_path / "k.csv")
    for name in ("nowhere.csv", "columns.csv", "broken.parquet", "k.csv"):
        params = ReferenceParams(reference_network=str(tmp_path / name), levels=("E",))
        with pytest.raises(UserError) as refusal:
            read_reference(params, GENES)
        assert refusal.value.rule == "reference-network"


def test_known_pairs_are_those_of_a_plain_loop():
    generator = np.random.default_rng(0)
    names = np.array([f"g{at}" for at in range(9)])
    edges = pd.DataFrame(generator.choice(names, (20, 2)), columns=["source", "target"])
    regulators, targets = names[[7, 2, 4]], names[[0, 2, 5, 8]]
    known = set(edges.itertuples(index=False, name=None))
    expected = [[(one, other) in known for other in targets] for one in regulators]
    assert known_pairs(edges, regulators, targets).tolist() == expected
    assert not known_pairs(edges[:0], regulators, targets).any()
