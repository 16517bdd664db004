"""Modules of a graph of two cliques; the graph as GraphML."""

import igraph
import pandas as pd

from sc_mamba2.methods.gene_modules import as_graphml, find_modules, make_graph

CLIQUES = ["abc", "defg"]


def two_cliques() -> pd.DataFrame:
    """All edges within each clique, and a weak one between them."""
    pairs = [
        (one, other) for clique in CLIQUES for one in clique for other in clique if one < other
    ]
    edges = pd.DataFrame([*pairs, ("a", "d")], columns=["source", "target"])
    edges["source_id"], edges["target_id"] = "E" + edges["source"], "E" + edges["target"]
    edges["score"] = [1.0] * len(pairs) + [0.01]
    numbers = ("sign", "knock_out_effect", "specific_effect", "cosine", "correlation")
    return edges.assign(**dict.fromkeys(numbers, 1), rank=range(1, len(edges) + 1))


def test_cliques_are_modules_the_largest_first():
    modules = find_modules(two_cliques(), 1.0, 0)
    genes = modules.groupby("module")["gene"].apply(set)
    assert [genes[0], genes[1]] == [set("defg"), set("abc")]
    assert modules["gene"].tolist() == ["d", "e", "f", "g", "a", "b", "c"]
    assert modules["degree"].tolist() == [4, 3, 3, 3, 3, 2, 2]
    assert modules["gene"][~modules["is_source"]].tolist() == ["g", "c"]


def test_the_graph_is_directed_and_survives_its_file(tmp_path):
    edges = two_cliques()
    graph = make_graph(edges, find_modules(edges, 1.0, 0))
    (tmp_path / "network.graphml").write_text(as_graphml(graph), "utf-8")
    read = igraph.Graph.Read_GraphML(str(tmp_path / "network.graphml"))
    assert read.is_directed() and read.es["score"] == edges["score"].tolist()
    named = [(read.vs[one]["name"], read.vs[other]["name"]) for one, other in read.get_edgelist()]
    assert named == list(zip(edges["source"], edges["target"], strict=True))
