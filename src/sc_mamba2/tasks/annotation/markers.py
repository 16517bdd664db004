"""Marker genes of the called types in the query, to check calls without labels."""

import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData

from sc_mamba2.cells import keys

_MAX_CELLS = 20_000
_MIN_CELLS = 5  # cells of a type
_GENES = 8


def type_markers(valid_cells: AnnData, calls: pd.DataFrame) -> dict[str, tuple[int, list[str]]]:
    """Return the number of cells and the marker genes of each called type.

    Markers have the highest positive Welch t (log-normalised values, type against all others). Above 20,000
    cells an even sample is used; types with fewer than five cells (of the sample) have no markers.
    """
    places = valid_cells.obs_names.get_indexer(calls.index)
    types = calls[keys.CELL_TYPE].astype(str).to_numpy()
    counts = pd.Series(types).value_counts()
    chosen = np.linspace(0, len(places) - 1, min(len(places), _MAX_CELLS)).astype(int)
    some, own = valid_cells[places[chosen]], types[chosen]
    enough = [str(t) for t in counts.index if (own == t).sum() >= _MIN_CELLS]
    found: dict[str, list[str]] = {}
    if enough and len(set(own)) > 1:
        looked = AnnData(some.X, obs=pd.DataFrame({"type": pd.Categorical(own)}))
        looked.var_names = some.var[keys.SYMBOL].astype(str).to_numpy()
        looked.var_names_make_unique()
        looked.uns["log1p"] = {"base": None}
        sc.tl.rank_genes_groups(looked, "type", groups=enough, method="t-test", n_genes=_GENES)
        ranked = looked.uns["rank_genes_groups"]
        found = {
            t: [
                str(g)
                for g, s in zip(ranked["names"][t], ranked["scores"][t], strict=True)
                if s > 0
            ]
            for t in enough
        }
    return {str(t): (int(cells), found.get(str(t), [])) for t, cells in counts.items()}
