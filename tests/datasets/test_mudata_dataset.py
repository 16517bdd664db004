"""MuData as a catalog entry: whole or not there, and read only if it is one."""

import mudata
import numpy as np
import pytest
from kedro.io import DatasetError

from sc_mamba2.cells.simulate_pairs import simulate_rna_protein
from sc_mamba2.datasets import MuDataDataset
from sc_mamba2.errors import UserError


@pytest.fixture
def together() -> mudata.MuData:
    with mudata.set_options(pull_on_update=False):
        return mudata.MuData(simulate_rna_protein(30, 60))


def test_roundtrip_and_exists(together, tmp_path):
    dataset = MuDataDataset(str(tmp_path / "deep" / "cells.h5mu"))
    assert not dataset.exists()
    together.obsm["X"] = np.arange(60.0).reshape(30, 2)
    dataset.save(together)
    read = dataset.load()
    assert dataset.exists() and list(read.mod) == ["rna", "protein"]
    assert (read.mod["protein"].X != together.mod["protein"].X).nnz == 0
    assert np.array_equal(read.obsm["X"], together.obsm["X"])
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["cells.h5mu"]


def half_written(cells, path, **options):
    path.write_bytes(b"half")
    raise OSError("disk full")


def test_a_failing_save_leaves_the_old_file(together, tmp_path, monkeypatch):
    dataset = MuDataDataset(str(tmp_path / "cells.h5mu"))
    dataset.save(together)
    before = (tmp_path / "cells.h5mu").read_bytes()
    monkeypatch.setattr(mudata.MuData, "write_h5mu", half_written)
    with pytest.raises(DatasetError):
        dataset.save(together)
    assert (tmp_path / "cells.h5mu").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["cells.h5mu"]


def test_what_is_no_mudata_is_refused(together, tmp_path):
    together.mod["rna"].write_h5ad(tmp_path / "cells.h5mu")
    with pytest.raises((DatasetError, UserError), match="not a MuData file"):
        MuDataDataset(str(tmp_path / "cells.h5mu")).load()
