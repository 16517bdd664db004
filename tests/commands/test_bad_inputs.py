"""Bad input: one clear message with its rule, exit code 2, no traceback, no output."""

from collections.abc import Callable, Iterable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse
from tests.cli import entered, refused

from sc_mamba2.cells import simulate_cells

Change = Callable[[AnnData], AnnData | None]


def set_x(make: Callable[[np.ndarray], object]) -> Change:
    def change(cells: AnnData) -> AnnData:
        return AnnData(X=make(cells.X.toarray()), obs=cells.obs, var=cells.var)

    return change


def rename_genes(make: Callable[[int], str], drop_symbol: bool = True) -> Change:
    def change(cells: AnnData) -> AnnData:
        names = [make(n) for n in range(cells.n_vars)]
        return AnnData(X=cells.X, obs=cells.obs, var=pd.DataFrame(index=names))

    return change


def with_nan(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x[3, 4] = np.nan
    return x


def label(values: Callable[[int], object]) -> Change:
    def change(cells: AnnData) -> AnnData:
        cells.obs["cell_type"] = [values(n) for n in range(cells.n_obs)]
        return cells

    return change


def duplicate_barcodes(cells: AnnData) -> AnnData:
    cells.obs_names = ["same"] * cells.n_obs
    return cells


def partly_known(known: int) -> Change:
    def change(cells: AnnData) -> AnnData:
        names = [name if n < known else f"made_up_{n}" for n, name in enumerate(cells.var_names)]
        return AnnData(X=cells.X, obs=cells.obs, var=pd.DataFrame(index=names))

    return change


REFERENCE_CASES: dict[str, tuple[Change, str]] = {
    "no cells": (lambda c: c[:0].copy(), "cells-none"),
    "no genes": (lambda c: c[:, :0].copy(), "genes-none"),
    "all zero": (set_x(np.zeros_like), "matrix-unusable"),
    "NaN": (set_x(with_nan), "matrix-unusable"),
    "infinite": (set_x(lambda x: np.where(x > 3, np.inf, x)), "matrix-unusable"),
    "scaled only": (set_x(lambda x: (x - x.mean(0)) / (x.std(0) + 1)), "matrix-unusable"),
    "duplicate barcodes": (duplicate_barcodes, "cells-names"),
    "mouse genes": (rename_genes(lambda n: f"Gm{n}"), "genes-unmatched"),
    "dates": (rename_genes(lambda n: f"{n % 9 + 1}-Mar"), "genes-unmatched"),
    "1 % matched": (partly_known(2), "genes-matched"),
    "49 % matched": (partly_known(98), "genes-matched"),
    "transposed": (
        lambda c: AnnData(
            X=c.X.T.tocsr(),
            obs=pd.DataFrame(index=c.var_names),
            var=pd.DataFrame(index=c.obs_names),
        ),
        "matrix-transposed",
    ),
    "empty gene name": (rename_genes(lambda n: "" if n == 5 else f"G{n}"), "genes-names"),
    "all labels missing": (label(lambda n: np.nan), "label-empty"),
    "one class": (label(lambda n: "T"), "label-one-class"),
    "fractional labels": (label(lambda n: n / 7 + 0.01), "label-numeric"),
    "a label a cell": (label(lambda n: f"cell {n}"), "label-too-many"),
    "one cell a class": (label(lambda n: "T" if n > 1 else f"rare {n}"), "split-impossible"),
}


def refused_reference(folder: Path, reference: object, rule: str, *more: object) -> str:
    """Annotate with a reference that must be refused; return the message."""
    words = ("annotate", "-r", reference, "-k", "cell_type", "-o", folder / "out.h5ad", *more)
    return refused(*words, rule=rule, folder=folder)


@pytest.fixture
def good(tmp_path) -> Path:
    path = tmp_path / "good.h5ad"
    simulate_cells(60, 200).write_h5ad(path)
    return path


# What `scm validate` finds is found by the same check before an annotation, which takes ten times as long.
ANNOTATED = {"no cells", "transposed", "one cell a class"}  # `validate` has another word, or none


def by_both(cases: Iterable[str]) -> list:
    """Each case by `validate`, and by `annotate`: in `make test` only where `validate` cannot."""
    slow = {case: pytest.mark.slow if case not in ANNOTATED else () for case in cases}
    quick = [(case, "validate") for case in slow if case not in ANNOTATED]
    return quick + [pytest.param(case, "annotate", marks=mark) for case, mark in slow.items()]


def refused_by(verb: str, folder: Path, path: Path, rule: str) -> None:
    if verb == "annotate":
        refused_reference(folder, path, rule)
    else:
        refused("validate", path, "-k", "cell_type", rule=rule, folder=folder)


@pytest.mark.parametrize(("case", "verb"), by_both(REFERENCE_CASES))
def test_bad_cells_and_labels(case, verb, tmp_path):
    change, rule = REFERENCE_CASES[case]
    path = tmp_path / "bad.h5ad"
    change(simulate_cells(60, 200)).write_h5ad(path)
    refused_by(verb, tmp_path, path, rule)


def damage_indices(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["X/indices"][3] = 10_000


def damage_pointers(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["X/indptr"][3] = 0


def huge_shape(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["X"].attrs["shape"] = np.array([10**9, 10**9])


def external_link(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["uns/other"] = h5py.ExternalLink("/etc/hostname", "/x")


def no_matrix(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["X"]


FILE_CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "file-empty"),
    "text": (lambda path: path.write_text("gene,cell\n"), "file-format"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:3000]), "file-damaged"),
    "index out of range": (damage_indices, "matrix-layout"),
    "pointers that fall": (damage_pointers, "matrix-layout"),
    "declared 1e9 x 1e9": (huge_shape, "matrix-layout"),
    "external link": (external_link, "file-external-link"),
    "no X": (no_matrix, "file-no-matrix"),
}


@pytest.mark.parametrize(("case", "verb"), by_both(FILE_CASES))
def test_bad_files(case, verb, good, tmp_path):
    damage, rule = FILE_CASES[case]
    damage(good)
    refused_by(verb, tmp_path, good, rule)


def test_a_missing_file_and_a_folder(good, tmp_path):
    text = refused_reference(tmp_path, tmp_path / "god.h5ad", "file-missing")
    assert "did you mean 'good.h5ad'" in text
    refused_reference(tmp_path, tmp_path, "file-is-folder")


PARAMETER_CASES: dict[str, tuple[str, str, str]] = {
    "unknown key": ("annotation.fine_tune.max_epoch=1", "parameter-unknown", "max_epochs"),
    "negative rate": (
        "annotation.fine_tune.learning_rate=-1",
        "parameter-invalid",
        "greater than 0",
    ),
    "wrong type": ("annotation.fine_tune.max_epochs=many", "parameter-invalid", "integer"),
    "unknown choice": ("annotation.head.paths=[trunk,pool]", "parameter-invalid", "pooled"),
    "no value": ("annotation", "params-syntax", "name=value"),
    "unknown preset": ("annotation.backbone.preset=mikro", "preset", "micro"),
    "unknown species": ("ingestion.species=rat", "parameter-invalid", "mouse"),
    "missing layer": ("ingestion.layer=count", "layer-missing", "layer"),
    "unknown label key": ("annotation.labels.key=cel_type", "label-missing", "cell_type"),
    "cuda without a GPU": ("compute.device=cuda", "device-missing", "cpu"),
    "missing checkpoint": (
        "annotation.backbone.checkpoint=no/where",
        "checkpoint-folder",
        "no/where",
    ),
}


@pytest.mark.parametrize("case", PARAMETER_CASES)
def test_bad_parameters(case, good, tmp_path):
    if case == "cuda without a GPU":
        torch = pytest.importorskip("torch")
        if torch.cuda.is_available():
            pytest.skip("this machine has a GPU")
    params, rule, says = PARAMETER_CASES[case]
    assert says in refused_reference(tmp_path, good, rule, "--params", params)


def test_contradictions_and_outputs(good, tmp_path):
    for words in (
        [],
        [good, "-r", good],
        ["-c", tmp_path],
        [good, "-c", "x", "-r", good],
        [good, "-c", "x", "--start", "scm-tiny"],
        [good, "-c", "x", "--fit", "linear"],
    ):
        more = ("-o", tmp_path / "out.h5ad")
        refused("annotate", *words, *more, rule="options", folder=tmp_path)
    for output, rule in (
        (tmp_path / "out.csv", "output-suffix"),
        (tmp_path / "no" / "o.h5ad", "output-folder"),
        (good, "output-exists"),
    ):
        words = ("-r", good, "-k", "cell_type", "-o", output)
        refused("annotate", *words, rule=rule, folder=tmp_path)


def test_a_query_that_shares_no_gene(good, tmp_path):
    other = simulate_cells(40, 400)[:, 200:].copy()
    other.write_h5ad(tmp_path / "other.h5ad")
    refused_reference(tmp_path, good, "model-genes", tmp_path / "other.h5ad")


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (["--pipeline", "anotation"], "pipeline-unknown"),
        (["--pipeline", "annotation", "--env", "tset"], "env-unknown"),
        (["--pipeline", "annotation", "--runner", "FastRunner"], "runner-unknown"),
        (["--pipeline", "annotation", "--nodes", "annotation.nothing"], "selection-unknown"),
        (["--pipeline", "annotation", "--conf-source", "nowhere"], "conf-missing"),
        (["--pipeline", "annotation", "--load-versions", "x"], "load-versions"),
        (["--pipeline", "annotation", "--input", "nowhere.h5ad"], "file-missing"),
    ],
)
def test_bad_selections_of_a_project(words, rule, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    refused("run", "--quiet", *words, rule=rule)


def test_run_outside_of_a_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused("run", "--pipeline", "annotation", rule="project-missing", folder=tmp_path)


def test_a_sparse_matrix_of_any_kind_is_read_the_same(tmp_path):
    cells = simulate_cells(30, 200)
    outputs = []
    for name, make in {
        "csr": sparse.csr_matrix,
        "csc": sparse.csc_matrix,
        "dense": lambda x: x.toarray(),
    }.items():
        path = tmp_path / f"{name}.h5ad"
        AnnData(X=make(cells.X), obs=cells.obs, var=cells.var).write_h5ad(path)
        outputs.append(entered("validate", path, "--json").output.replace(str(path), ""))
    assert len(set(outputs)) == 1
