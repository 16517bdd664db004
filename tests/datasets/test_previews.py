"""What Kedro-Viz is given to show: the head of cells, pictures, small JSON; ready for JSON, no whole file read."""

import base64
import json

import anndata as ad
import mudata
import numpy as np
import pandas as pd
import pytest

from sc_mamba2.datasets import (
    AnnDataDataset,
    CheckpointDataset,
    CopiedCellsDataset,
    FiguresDataset,
    IndexDataset,
    MuDataDataset,
)
from sc_mamba2.reporting import new_figure
from sc_mamba2.reporting.pictures import as_png


@pytest.fixture
def cells() -> ad.AnnData:
    obs = pd.DataFrame(
        {
            "type": pd.Categorical(["T", None, "B"] * 4),
            "share": np.linspace(0, 1, 12, dtype=np.float32),
            "good": [True, False, True] * 4,
        },
        index=[f"c{at}" for at in range(12)],
    )
    return ad.AnnData(np.ones((12, 2), dtype=np.float32), obs=obs)


@pytest.mark.parametrize("kind", [AnnDataDataset, CopiedCellsDataset, MuDataDataset])
def test_the_first_cells_are_shown_and_nothing_else_is_read(kind, cells, tmp_path, monkeypatch):
    path = tmp_path / ("cells.h5mu" if kind is MuDataDataset else "cells.h5ad")
    if kind is MuDataDataset:
        modalities = mudata.MuData({"rna": cells[:, :1].copy()})
        modalities.obs = cells.obs.copy()
        modalities.write(path)
    else:
        cells.write_h5ad(path)
    dataset = kind(filepath=str(path))
    monkeypatch.setattr(kind, "load", lambda self: pytest.fail("the whole file was read"))
    shown = dataset.preview(nrows=2)
    assert shown["columns"][-3:] == ["type", "share", "good"]
    assert [row[-3:] for row in shown["data"]] == [
        ["T", 0.0, True],
        [None, pytest.approx(1 / 11), False],
    ]
    assert json.loads(json.dumps(shown)) == shown


def test_pictures_are_shown_in_their_order_with_escaped_names(tmp_path):
    dataset = FiguresDataset(str(tmp_path / "figures"))
    picture = as_png(new_figure(width=1, height=1)[0])
    dataset.save({"z_last": picture, "a<b>": picture})
    shown = dataset.preview()
    assert shown.index("z last") < shown.index("a&lt;b&gt;") and "<b>" not in shown
    for picture in dataset.load().values():
        assert f"data:image/png;base64,{base64.b64encode(picture).decode()}" in shown


@pytest.mark.parametrize(
    ("dataset", "file"),
    [(lambda path: CheckpointDataset(path, "x.Y"), "config.json"), (IndexDataset, "index.json")],
)
def test_a_folder_shows_its_facts(dataset, file, tmp_path):
    (tmp_path / file).write_text('{\n "width": 3\n}')
    assert json.loads(dataset(str(tmp_path)).preview()) == {"width": 3}
