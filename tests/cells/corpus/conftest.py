"""A small corpus: three files in three formats, with the columns of CELLxGENE and shared cells."""

import shutil
from pathlib import Path

import anndata as ad
import pytest
from tests.cells import formats

from sc_mamba2.cells import simulate_cells


def study(seed: int, count: int = 30) -> ad.AnnData:
    """Give cells of one study: half of them blood, a third of them diseased."""
    cells = simulate_cells(count, 80, seed)
    cells.obs_names = [f"study{seed}_{number}" for number in range(count)]
    cells.obs["tissue"] = ["blood", "lung"] * (count // 2)
    cells.obs["disease"] = ["normal", "normal", "flu"] * (count // 3)
    cells.obs["assay"] = "10x 3' v3"
    return cells


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    """`a.h5ad`, `b.zarr` and `sub/c.loom`; b repeats five cells of a, under other genes' order."""
    home = tmp_path_factory.mktemp("of") / "corpus"
    (home / "sub").mkdir(parents=True)
    first, second, third = study(1), study(2), study(3)
    first.obs["is_primary_data"] = [True] * 28 + [False] * 2
    first.write_h5ad(home / "a.h5ad")
    shared = first[3:8, ::-1].copy()
    with_shared = ad.concat([second[:, shared.var_names], shared])
    with_shared.var["symbol"] = shared.var["symbol"]
    with_shared.write_zarr(home / "b.zarr")
    formats.write_loom(third, home / "sub").rename(home / "sub" / "c.loom")
    return home


@pytest.fixture
def folder(corpus, tmp_path) -> Path:
    """Give a copy that may be changed."""
    return Path(shutil.copytree(corpus, tmp_path / "corpus"))
