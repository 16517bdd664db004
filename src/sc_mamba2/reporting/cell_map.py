"""Interactive maps of cells for reports and `scm explore`: compact data for `cell_map.js`.

Coordinates are 16 bits, classes 16-bit codes, numbers 32 bits, all in base64, so that thousands of cells
take little space.
"""

import base64
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from sc_mamba2.reporting.style import palette

MAX_CELLS = 50_000  # of a file; about 2 MB, and smooth
_CODES = 2**16 - 1  # the last is what has no class


@dataclass(frozen=True)
class CellMap:
    """A map of cells for a report.

    Attributes
    ----------
    caption
        What is shown; the page itself explains its use.
    layouts
        Tables of `lay_out` by title, for the same cells in the same order; the last is shown first.
    columns
        Columns to colour by, by title, the first is shown first: numbers get a scale, others classes.
        Cells may be missing from a column.
    stands_for
        Names of the equivalent static figures, kept for print and for browsers without scripts.
    """

    caption: str
    layouts: dict[str, pd.DataFrame]
    columns: dict[str, pd.Series]
    stands_for: tuple[str, ...] = ()

    def packed(self, most: int | None = None) -> dict[str, Any]:
        """Return the data for `unpackCells` of the script, an even sample of `most` (or `MAX_CELLS`) cells."""
        cells = next(iter(self.layouts.values())).index
        taken = (
            np.linspace(0, len(cells) - 1, min(len(cells), most or MAX_CELLS)).round().astype(int)
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
        """Return `packed` as JSON that is safe inside a script element, whatever the names of cells."""
        text = json.dumps(self.packed(), ensure_ascii=False, separators=(",", ":"))
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")

    @property
    def words(self) -> str:
        """The caption, with the number of cells drawn if it is a sample."""
        cells = len(next(iter(self.layouts.values())))
        if cells <= MAX_CELLS:
            return self.caption
        return f"{self.caption} ({MAX_CELLS:,} of {cells:,} cells, evenly taken)"


def shared_palettes(classes: dict[str, pd.Series]) -> dict[str, dict[str, Any]]:
    """Return the colours of the classes of each column; columns with a common class share a palette."""
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
    """Return the data for `unpackColumn` of the script: numbers with range, or classes with colours."""
    if is_scale(column):
        return _pack_numbers(name, column.to_numpy(np.float32, na_value=np.nan))
    return _pack_classes(name, class_text(column), colours)


def _aligned(column: pd.Series, cells: pd.Index) -> pd.Series:
    return column if column.index.equals(cells) else column.reindex(cells)


def class_text(column: pd.Series) -> pd.Series:
    """Return classes as text; missing values stay missing."""
    return column.astype(object).map(str, na_action="ignore")


def is_scale(column: pd.Series) -> bool:
    """Whether a column is numeric and gets a scale; booleans are classes."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _pack_classes(name: str, column: pd.Series, colours: dict[str, Any]) -> dict[str, Any]:
    classes = sorted(set(column.dropna()))[:_CODES]
    codes = pd.Categorical(column, categories=classes).codes.astype(np.int64)
    packed = _base64(np.where(codes < 0, _CODES, codes), "<u2")
    hex_colours = [to_hex(colours[one]) for one in classes]
    return {"name": name, "classes": classes, "colours": hex_colours, "codes": packed}


def _pack_numbers(name: str, values_N: np.ndarray) -> dict[str, Any]:
    values_N = np.where(np.isfinite(values_N), values_N, np.nan)
    finite = values_N[~np.isnan(values_N)]
    least, most = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    return {"name": name, "least": least, "most": most, "values": _base64(values_N, "<f4")}


def _quantised(places_N2: np.ndarray) -> np.ndarray:
    low, high = places_N2.min(axis=0), places_N2.max(axis=0)
    span = np.where(high > low, high - low, 1)
    return ((places_N2 - low) / span * (2**16 - 1)).round()


def _base64(values: np.ndarray, kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode("ascii")
