"""AnnData and raw cells as catalog entries."""

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from kedro.io import DatasetError

from sc_mamba2.cells import simulate_cells
from sc_mamba2.datasets import AnnDataDataset, CellsDataset
from sc_mamba2.errors import UserError


@pytest.fixture
def cells() -> ad.AnnData:
    return simulate_cells(12, 9)


def test_anndata_roundtrip_and_exists(cells, tmp_path):
    dataset = AnnDataDataset(str(tmp_path / "deep" / "cells.h5ad"))
    assert not dataset.exists()
    dataset.save(cells)
    assert dataset.exists() and dataset.load() is cells
    read = AnnDataDataset(str(dataset.filepath)).load()
    assert np.array_equal(read.X.toarray(), cells.X.toarray())
    assert read.obs.equals(cells.obs) and list(read.var_names) == list(cells.var_names)


def test_anndata_preview_is_ready_for_json(cells, tmp_path):
    cells.obs["depth"] = np.arange(12, dtype=np.float32)
    cells.obs.loc[cells.obs_names[1], "cell_type"] = None
    dataset = AnnDataDataset(str(tmp_path / "cells.h5ad"))
    dataset.save(cells)
    preview = dataset.preview(nrows=3)
    assert preview["columns"] == ["index", "cell_type", "batch", "depth"]
    assert [row[0] for row in preview["data"]] == ["cell_0", "cell_1", "cell_2"]
    assert preview["data"][1][1] is None and preview["data"][2][3] == 2.0
    assert len(json.loads(json.dumps(preview))["index"]) == 3


def test_a_failing_save_leaves_the_old_file(cells, tmp_path, monkeypatch):
    dataset = AnnDataDataset(str(tmp_path / "cells.h5ad"))
    dataset.save(cells)
    before = (tmp_path / "cells.h5ad").read_bytes()

    def fail(_cells, path, **_options):
        Path(path).write_text("half")
        raise RuntimeError

    monkeypatch.setattr(ad.AnnData, "write_h5ad", fail)
    with pytest.raises(DatasetError):
        dataset.save(cells)
    assert (tmp_path / "cells.h5ad").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["cells.h5ad"]


def test_a_damaged_file_is_a_user_error_inside(tmp_path):
    (tmp_path / "cells.h5ad").write_text("no")
    with pytest.raises(DatasetError) as caught:
        AnnDataDataset(str(tmp_path / "cells.h5ad")).load()
    assert isinstance(caught.value.__cause__, UserError)


def test_cells_from_a_file_and_from_a_name(cells, tmp_path):
    cells.write_h5ad(tmp_path / "cells.h5ad")
    assert CellsDataset(str(tmp_path / "cells.h5ad")).load().n_obs == 12
    assert CellsDataset("simulated:three-types").load().n_obs == 150


def test_no_source_is_refused_on_load():
    dataset = CellsDataset(None)
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert caught.value.__cause__.rule == "source-none"


def test_raw_cells_are_never_written(cells, tmp_path):
    cells.write_h5ad(tmp_path / "cells.h5ad")
    before = (tmp_path / "cells.h5ad").read_bytes()
    with pytest.raises((DatasetError, NotImplementedError)):
        CellsDataset(str(tmp_path / "cells.h5ad")).save(cells)
    assert (tmp_path / "cells.h5ad").read_bytes() == before
