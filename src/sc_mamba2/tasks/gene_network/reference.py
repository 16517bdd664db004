"""A reference network of known edges, such as DoRothEA, as a table of Ensembl ids."""

from pathlib import Path

import numpy as np
import pandas as pd

from sc_mamba2.errors import UserError
from sc_mamba2.genes import GeneTable, map_genes
from sc_mamba2.tasks.gene_network.params import ReferenceParams

_SOURCE, _TARGET, _CONFIDENCE = ("source", "tf"), ("target",), ("confidence",)


def read_reference(params: ReferenceParams, genes: GeneTable) -> pd.DataFrame:
    """Read the reference network.

    Edges of genes that the gene table does not know, and of a gene to itself, are left out.

    Returns
    -------
    DataFrame
        ``source`` and ``target``, Ensembl ids, each edge once; empty if no network is named.

    Raises
    ------
    UserError
        ``reference-network``: no such file, no usable columns, or no edge of these levels.
    """
    if params.reference_network is None:
        return pd.DataFrame(columns=["source", "target"], dtype=str)
    table = _read(Path(params.reference_network))
    source, target, confidence = (
        next((name for name in names if name in table), None)
        for names in (_SOURCE, _TARGET, _CONFIDENCE)
    )
    if source is None or target is None:
        raise _unusable(f"the columns {', '.join(map(str, table.columns[:8]))}")
    if confidence is not None:
        table = table[table[confidence].astype(str).isin(params.levels)]
    edges = pd.DataFrame(
        {"source": _ids(table[source], genes), "target": _ids(table[target], genes)}
    )
    edges = edges[(edges != "").all(axis=1) & (edges["source"] != edges["target"])]
    if edges.empty:
        raise _unusable(f"no edge between known genes of the levels {', '.join(params.levels)}")
    return edges.drop_duplicates(ignore_index=True)


def known_pairs(edges: pd.DataFrame, regulators: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return which pairs of a regulator and a target are known edges, (R, T) bool."""
    row = pd.Index(regulators).get_indexer(edges["source"])
    column = pd.Index(targets).get_indexer(edges["target"])
    present = (row >= 0) & (column >= 0)
    known_RT = np.zeros((len(regulators), len(targets)), dtype=bool)
    known_RT[row[present], column[present]] = True
    return known_RT


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise _unusable(f"no file '{path}'")
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        tabs = ".tsv" in path.suffixes or ".txt" in path.suffixes
        return pd.read_csv(path, sep="\t" if tabs else ",")
    except (ValueError, OSError) as error:  # errors of pandas and pyarrow
        raise _unusable(f"'{path.name}', which cannot be read ({error})") from error


def _ids(names: pd.Series, genes: GeneTable) -> np.ndarray:
    codes, unique = pd.factorize(names.astype(str))
    ids = map_genes([str(name) for name in unique], genes).ensembl_ids
    return np.asarray(ids, dtype=object)[codes]


def _unusable(found: str) -> UserError:
    return UserError(
        "reference-network",
        found=found,
        expected="a CSV, TSV or Parquet file with the columns source (or tf), target and optionally "
        "confidence",
        mend="correct --reference-network, or gene_network.reference.levels",
    )
