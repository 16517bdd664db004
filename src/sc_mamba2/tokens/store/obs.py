"""The cells' table over several shards or blocks."""

from collections.abc import Sequence

import pandas as pd
from pandas.api.types import union_categoricals


def stack_obs(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Stack tables with the same columns; a categorical column stays one, with all categories."""
    if not tables:
        return pd.DataFrame()
    stacked = pd.concat(tables)
    for name in stacked.columns:
        parts = [table[name] for table in tables]
        if stacked[name].dtype == object and all(hasattr(part, "cat") for part in parts):
            stacked[name] = union_categoricals(parts, ignore_order=True)
    return stacked
