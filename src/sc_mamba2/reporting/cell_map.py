"""Cells that a reader of a report colours, filters and hovers over: what `cell_map.js` draws, packed small.

Coordinates are 16 bits, classes codes, numbers 32 bits, all in base64, so that thousands of cells are little
text. Whoever serves a map of other cells packs the same and draws with the same script.
"""

import base64
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from sc_mamba2.reporting.style import palette

MOST_CELLS = 50_000  # of a file; about 2 MB, and smooth
_CODES = 2**16 - 1  # the last is what has no class


@dataclass(frozen=True)
class CellMap:
    """A map of cells for a report.

    Attributes
    ----------
    caption
        What is shown. How to use it is said by the page.
    layouts
        Tables of `lay_out` by title, all of the same cells in the same order; the last is shown first.
    columns
        What cells are coloured by, by title, the first at first: numbers get a scale, all else classes. What
        a column says of no cell may be missing from it.
    stands_for
        Names of the pictures that show the same: they are kept for print and where no script runs.
    """

    caption: str
    layouts: dict[str, pd.DataFrame]
    columns: dict[str, pd.Series]
    stands_for: tuple[str, ...] = ()

    def packed(self, most: int | None = None) -> dict[str, Any]:
        """Return what `unpackCells` of the script reads, at most `most` cells or `MOST_CELLS`, evenly taken."""
        cells = next(iter(self.layouts.values())).index
        taken = (
            np.linspace(0, len(cells) - 1, min(len(cells), most or MOST_CELLS)).round().astype(int)
        )
        columns = {name: _aligned(column, cells) for name, column in self.columns.items()}
        classes = {name: class_text(one) for name, one in columns.items() if not is_scale(one)}
        colours = shared_palettes({name: column.dropna() for name, column in classes.items()})
        return {
            "names": [str(name) for name in cells[taken]],
            "layouts": [
                {"name": name, "places": _base64(_quantised(layout.to_numpy())[taken], "<u2")}
                for name, layout in self.layouts.items()
            ],
            "columns": [
                pack_column(name, classes.get(name, column).iloc[taken], colours.get(name, {}))
                for name, column in columns.items()
            ],
        }

    def as_json(self) -> str:
        """Return `packed` as JSON that may stand in a script element: no name of a cell can end it."""
        text = json.dumps(self.packed(), ensure_ascii=False, separators=(",", ":"))
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")

    @property
    def words(self) -> str:
        """The caption, and how many of the cells are drawn where there are too many."""
        cells = len(next(iter(self.layouts.values())))
        if cells <= MOST_CELLS:
            return self.caption
        return f"{self.caption} ({MOST_CELLS:,} of {cells:,} cells, evenly taken)"


def shared_palettes(classes: dict[str, pd.Series]) -> dict[str, dict[str, Any]]:
    """Give each column the colours of its classes; columns with a class in common share all of them."""
    groups: list[set[str]] = []
    for column in classes.values():
        own = set(column)
        alike = [group for group in groups if group & own]
        groups = [group for group in groups if not group & own] + [own.union(*alike)]
    found = {}
    for name, column in classes.items():
        group: set[str] = next((one for one in groups if one & set(column)), set())
        found[name] = palette(sorted(group))
    return found


def pack_column(name: str, column: pd.Series, colours: dict[str, Any]) -> dict[str, Any]:
    """Return what `unpackColumn` of the script reads: numbers with their ends, or classes with their colours."""
    if is_scale(column):
        return _pack_numbers(name, column.to_numpy(np.float32, na_value=np.nan))
    return _pack_classes(name, class_text(column), colours)


def _aligned(column: pd.Series, cells: pd.Index) -> pd.Series:
    return column if column.index.equals(cells) else column.reindex(cells)


def class_text(column: pd.Series) -> pd.Series:
    """Return classes as text; what is missing stays missing."""
    return column.astype(object).map(str, na_action="ignore")


def is_scale(column: pd.Series) -> bool:
    """Whether a column gets a scale; all else, truths too, are classes."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _pack_classes(name: str, column: pd.Series, colours: dict[str, Any]) -> dict[str, Any]:
    there = sorted(set(column.dropna()))[:_CODES]
    codes = pd.Categorical(column, categories=there).codes.astype(np.int64)
    packed = _base64(np.where(codes < 0, _CODES, codes), "<u2")
    inks = [to_hex(colours[one]) for one in there]
    return {"name": name, "classes": there, "colours": inks, "codes": packed}


def _pack_numbers(name: str, values_N: np.ndarray) -> dict[str, Any]:
    values_N = np.where(np.isfinite(values_N), values_N, np.nan)
    there = values_N[~np.isnan(values_N)]
    least, most = (float(there.min()), float(there.max())) if len(there) else (0.0, 1.0)
    return {"name": name, "least": least, "most": most, "values": _base64(values_N, "<f4")}


def _quantised(places_N2: np.ndarray) -> np.ndarray:
    low, high = places_N2.min(axis=0), places_N2.max(axis=0)
    span = np.where(high > low, high - low, 1)
    return ((places_N2 - low) / span * (2**16 - 1)).round()


def _base64(values: np.ndarray, kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode("ascii")
