"""`scm embed` and `scm index` in process: what is written, what is refused, and that it goes on."""

import json
import shutil
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from tests import cli
from tests.checkpoints import write_random_checkpoint

from sc_mamba2.cells import read_cells, simulate_cells
from sc_mamba2.tasks.embedding import encode


def scm(*words: object) -> str:
    return cli.entered(*words).output


def refused(folder: Path, *words: object) -> str:
    return cli.refused(*words, folder=folder)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("embed")
    write_random_checkpoint(folder / "checkpoint")
    write_random_checkpoint(folder / "other", seed=1)
    simulate_cells(40).write_h5ad(folder / "cells.h5ad")
    return folder


@pytest.fixture(scope="module")
def embedded(files) -> Path:
    words = ("-c", files / "checkpoint", "-k", "cell_type", "--batch-key", "batch")
    text = scm("embed", files / "cells.h5ad", "-o", files / "out.h5ad", *words)
    assert "pca" in text and "report.html" in text
    return files / "out.h5ad"


@pytest.fixture(scope="module")
def index(files) -> Path:
    words = ("-k", "cell_type", "-c", files / "checkpoint", "-o", files / "index")
    assert str(files / "index") in scm("index", files / "cells.h5ad", *words)
    return files / "index"


def test_embed_writes_cells_report_and_scores(embedded, files):
    found, cells = ad.read_h5ad(embedded), ad.read_h5ad(files / "cells.h5ad")
    assert found.obsm["X_scm"].shape == (40, 64) and (found.X != cells.X).nnz == 0
    pd.testing.assert_frame_equal(found.obs, cells.obs)
    facts = found.uns["scm"]
    assert facts["expression"] == "X" and facts["genes_matched"] == 200
    assert list(facts["pooling"]) == ["cls"]
    folder = embedded.with_suffix(".scm")
    kept = {"report.html", "metrics.json", "run.json", "figures"}
    assert {path.name for path in folder.iterdir()} == kept
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics) == {"model", "baselines", "ablations", "data", "run", "summary"}
    assert set(metrics["baselines"]) == {"pca", "harmony"} and set(metrics["ablations"]) == {
        "untrained"
    }
    assert metrics["run"]["checkpoint_sha256"] == facts["checkpoint_sha256"]
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2 and "random weights" in page
    assert not [path for path in files.iterdir() if path.name.startswith(".out")]


def test_types_come_from_an_index(index, files):
    out = files / "mapped.h5ad"
    scm("embed", files / "cells.h5ad", "--index", index, "-c", files / "checkpoint", "-o", out)
    found = ad.read_h5ad(out)
    assert list(found.obs["scm_cell_type"]) == list(found.obs["cell_type"])  # its own reference
    assert found.obs["scm_cell_type_confidence"].between(0.99, 1).all()
    assert found.obs["scm_distance"].between(0, 1).all()
    assert found.obs["scm_unassigned"].dtype == bool
    metrics = json.loads((out.with_suffix(".scm") / "metrics.json").read_text())
    assert set(metrics["model"]) == {"unassigned_share"} and not metrics["baselines"]


def test_an_index_of_another_checkpoint_is_refused(index, files):
    words = ("--index", index, "-c", files / "other", "-o", files / "no.h5ad")
    assert "(index-checkpoint)" in refused(files, "embed", files / "cells.h5ad", *words)
    words = ("--index", files / "checkpoint", "-c", files / "checkpoint", "-o", files / "no.h5ad")
    assert "(index-folder)" in refused(files, "embed", files / "cells.h5ad", *words)


@pytest.mark.slow
def test_zarr_holds_the_same_and_is_replaced_by_force_alone(embedded, files):
    words = ("embed", files / "cells.h5ad", "-c", files / "checkpoint", "-o", files / "out.zarr")
    scm(*words[:-1], files / "as.zarr")
    whole, found = read_cells(embedded), read_cells(files / "as.zarr")
    assert (
        np.array_equal(found.obsm["X_scm"], whole.obsm["X_scm"]) and (found.X != whole.X).nnz == 0
    )
    (files / "out.scm").rename(files / "aside.scm")  # of another output of that name
    (files / "as.zarr").rename(files / "out.zarr")
    assert "(output-exists)" in refused(files, *words)
    scm(*words, "--force")
    assert np.array_equal(read_cells(files / "out.zarr").obsm["X_scm"], whole.obsm["X_scm"])
    for place in (files / "out.scm", files / "as.scm", files / "out.zarr"):
        shutil.rmtree(place)
    (files / "aside.scm").rename(files / "out.scm")


@pytest.fixture(scope="module")
def genes(files) -> pd.DataFrame:
    scm("embed", "--genes", files / "genes.parquet", "-c", files / "checkpoint")
    return pd.read_parquet(files / "genes.parquet")


def test_genes_alone(genes):
    assert genes.shape == (200, 66)


@pytest.mark.slow
def test_genes_beside_cells(files, embedded, genes):
    both = ("--genes", files / "genes2.parquet", "-o", files / "beside.h5ad")
    scm("embed", files / "cells.h5ad", *both, "-c", files / "checkpoint")
    pd.testing.assert_frame_equal(genes, pd.read_parquet(files / "genes2.parquet"))
    vectors = [ad.read_h5ad(path).obsm["X_scm"] for path in (embedded, files / "beside.h5ad")]
    assert np.array_equal(*vectors)


@pytest.mark.slow
def test_a_run_that_broke_off_goes_on_and_leaves_nothing(files, embedded, monkeypatch):
    real, computed = encode.encode_cells, []

    def counted(*parts):
        if len(computed) == 2:
            raise KeyboardInterrupt
        computed.append(len(parts[1]))
        return real(*parts)

    blocks = "embedding.options.cells_a_block=10"
    words = ("-c", files / "checkpoint", "-o", files / "halves.h5ad", "--params", blocks)
    with monkeypatch.context() as patch:
        patch.setattr(encode, "encode_cells", counted)
        assert cli.invoke("embed", files / "cells.h5ad", *words).exit_code != 0
    assert not (files / "halves.h5ad").exists()
    rest = []
    monkeypatch.setattr(encode, "encode_cells", lambda *p: rest.append(len(p[1])) or real(*p))
    scm("embed", files / "cells.h5ad", *words)
    assert computed == rest == [10, 10]
    found, whole = (ad.read_h5ad(p).obsm["X_scm"] for p in (files / "halves.h5ad", embedded))
    assert np.abs(found - whole).max() <= 1e-5 * np.abs(whole).max()
    assert not [path for path in files.iterdir() if path.name.startswith(".halves")]


def test_contradictions_and_bad_inputs_leave_nothing(files, index, embedded):
    cells, model = files / "cells.h5ad", ("-c", files / "checkpoint")
    out = ("-o", files / "no.h5ad", *model)
    for words in ((), (cells,), ("-o", files / "no.h5ad"), ("--genes", "g.parquet", *out)):
        assert "(options)" in refused(files, "embed", *words)
    cases: dict[str, tuple[object, ...]] = {
        "output-suffix": (cells, "-o", files / "no.csv", *model),
        "output-exists": (cells, "-o", embedded, *model),
        "output-is-input": (cells, "-o", cells, "--force", *model),
        "label-missing": (cells, *out, "-k", "cel_type"),
        "checkpoint-folder": (cells, "-o", files / "no.h5ad", "-c", files / "nowhere"),
        "file-missing": (files / "cell.h5ad", *out),
        "parameter-invalid": (cells, *out, "--params", "embedding.options.pooling=[max]"),
    }
    for rule, words in cases.items():
        assert f"({rule})" in refused(files, "embed", *words), rule
    assert "(output-suffix)" in refused(files, "embed", "--genes", files / "g.csv", *model)
    words = ("-k", "cell_type", *model)
    for rule, place in {"output-exists": index, "output-folder": files / "no" / "i"}.items():
        assert f"({rule})" in refused(files, "index", cells, *words, "-o", place)
    words = ("-k", "cell_type", *model, "--force")
    assert "(output-exists)" in refused(files, "index", cells, *words, "-o", files / "checkpoint")
    scm("index", cells, *words, "-o", index)
