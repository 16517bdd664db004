"""The gene network of given edges: its modules, its graph, and export as GraphML."""

import tempfile
from pathlib import Path

import igraph
import numpy as np
import pandas as pd
from scipy import sparse

from sc_mamba2.metrics.clustering import leiden


def find_modules(edges: pd.DataFrame, resolution: float, seed: int) -> pd.DataFrame:
    """Cluster the genes of the edges by Leiden, ignoring direction.

    Returns
    -------
    DataFrame
        ``gene``, ``ensembl_id``, ``module`` from 0 (the largest), ``is_source``, ``degree``; sorted by
        module, then by descending degree.
    """
    symbols = dict(zip(edges["source_id"], edges["source"], strict=True))
    symbols |= dict(zip(edges["target_id"], edges["target"], strict=True))
    ids = sorted(symbols)
    place = {ident: at for at, ident in enumerate(ids)}
    ends = [edges[name].map(place).to_numpy() for name in ("source_id", "target_id")]
    shape = (len(ids), len(ids))
    weights = sparse.coo_matrix((edges["score"], tuple(ends)), shape=shape).tocsr()
    weights = weights.maximum(weights.T)
    communities = leiden(weights, resolution, seed)
    names, sizes = np.unique(communities, return_counts=True)
    order = names[np.argsort(-sizes, kind="stable")]
    new_name = {name: at for at, name in enumerate(order)}
    table = pd.DataFrame(
        {
            "gene": [symbols[ident] for ident in ids],
            "ensembl_id": ids,
            "module": [new_name[name] for name in communities],
            "is_source": np.isin(ids, edges["source_id"].unique()),
            "degree": np.bincount(np.concatenate(ends), minlength=len(ids)),
        }
    )
    return table.sort_values(
        ["module", "degree", "gene"], ascending=[True, False, True], ignore_index=True
    )


def make_graph(edges: pd.DataFrame, modules: pd.DataFrame) -> igraph.Graph:
    """Return the directed graph; genes have their module as attribute, edges all their columns."""
    place = {ident: at for at, ident in enumerate(modules["ensembl_id"])}
    graph = igraph.Graph(n=len(modules), directed=True)
    graph.vs["name"] = modules["gene"].tolist()
    for name in ("ensembl_id", "module", "is_source"):
        graph.vs[name] = modules[name].tolist()
    graph.add_edges(
        list(zip(edges["source_id"].map(place), edges["target_id"].map(place), strict=True))
    )
    for name in edges.columns.drop(["source", "source_id", "target", "target_id"]):
        graph.es[name] = edges[name].tolist()
    return graph


def as_graphml(graph: igraph.Graph) -> str:
    """Return a graph as GraphML text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.graphml"
        graph.write_graphml(str(path))
        return path.read_text("utf-8")
