"""What Kedro-Viz shows of a dataset beside its graph: the first cells, pictures, a small JSON file."""

import base64
import html
import json
from pathlib import Path

import h5py
import numpy as np
from anndata.io import read_elem
from kedro_datasets._typing import HTMLPreview, JSONPreview, TablePreview


def first_cells(path: Path, rows: int) -> TablePreview:
    """Show the first rows of `obs` of an `.h5ad` or `.h5mu` file; of the rest nothing is read."""
    with h5py.File(path) as file:
        head = read_elem(file["obs"]).head(rows).reset_index()
    values = head.astype(object).where(head.notna(), None).to_numpy()
    data = [
        [item.item() if isinstance(item, np.generic) else item for item in row] for row in values
    ]
    return TablePreview(
        {
            "index": list(range(len(data))),
            "columns": [str(name) for name in head.columns],
            "data": data,
        }
    )


def pictures(figures: dict[str, bytes]) -> HTMLPreview:
    """Show PNG pictures under each other, each with its name."""
    parts = []
    for name, picture in figures.items():
        title = html.escape(name.replace("_", " "))
        source = f"data:image/png;base64,{base64.b64encode(picture).decode('ascii')}"
        # On white: what is drawn is drawn for paper, and Kedro-Viz is dark.
        parts.append(
            f'<h3>{title}</h3><img alt="{title}" src="{source}" style="width: 100%; background: white">'
        )
    return HTMLPreview("".join(parts))


def json_file(path: Path) -> JSONPreview:
    """Show a JSON file."""
    return JSONPreview(json.dumps(json.loads(path.read_text(encoding="utf-8"))))
