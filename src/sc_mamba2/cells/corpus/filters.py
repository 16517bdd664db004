"""Filter a file's cells for a corpus by the columns of CELLxGENE files."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sc_mamba2.cells.corpus.options import CorpusFilters
from sc_mamba2.errors import UserError, nearest

PRIMARY = "is_primary_data"
LISTED = ("tissue", "disease", "assay")
FEW_GENES = "few_genes"
DUPLICATE = "duplicate"


@dataclass
class CellFilter:
    """Which of N cells are still kept, and how many each reason dropped, in the order applied."""

    kept: np.ndarray
    dropped: dict[str, int]
    columns_absent: list[str]

    def drop(self, reason: str, passes: np.ndarray) -> None:
        """Keep only cells that pass; a dropped cell counts for the first reason only."""
        self.dropped[reason] = int((self.kept & ~passes).sum())
        self.kept = self.kept & passes


def filter_table(obs: pd.DataFrame, filters: CorpusFilters) -> CellFilter:
    """Apply the filters that only need the table; rule ``primary-column``."""
    kept = CellFilter(np.ones(len(obs), bool), {}, [])
    named: dict[str, tuple[str, ...]] = {PRIMARY: ()} if filters.primary_only else {}
    named |= {column: values for column in LISTED if (values := getattr(filters, column))}
    for column, values in named.items():
        if column in obs:
            passes = _primary(obs[column]) if column == PRIMARY else obs[column].isin(values)
            kept.drop(column, np.asarray(passes, bool))
        else:
            kept.columns_absent.append(column)
            kept.drop(column, np.full(len(obs), column == PRIMARY))
    return kept


def _primary(column: pd.Series) -> np.ndarray:
    """Read a boolean column, which files may store as text or categories; missing values are false."""
    text = column.astype(object).where(column.notna(), False).astype(str).str.lower()
    unknown = sorted(set(text) - {"true", "false", "1", "0", "1.0", "0.0"})
    if unknown:
        raise UserError(
            "primary-column",
            found=f"obs['{PRIMARY}'] holds '{unknown[0]}'",
            expected="true or false for each cell",
            mend="correct the column, or set primary_only to false"
            + nearest(unknown[0], ("true", "false")),
        )
    return text.isin({"true", "1", "1.0"}).to_numpy()
