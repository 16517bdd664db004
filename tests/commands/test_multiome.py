"""`scm multiome` in process: what is written, that the checkpoint repeats it, what is refused."""

import json
from pathlib import Path

import mudata
import numpy as np
import pytest
from tests import cli

from sc_mamba2.cells.simulate_pairs import simulate_rna_atac, simulate_rna_protein

mudata.set_options(pull_on_update=False)
QUICK = (
    "--params",
    "multiomics.fine_tune.max_epochs=2,multiomics.head.components=6,"
    "multiomics.keys.held_out_share=0.2,multiomics.imputation.folds=3,"
    "multiomics.imputation.curvatures=[0.4]",
)


def scm(*words: object) -> str:
    return cli.entered(*words).output


def refused(folder: Path, *words: object) -> str:
    return cli.refused("multiome", *words, folder=folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Files of RNA and protein; a quarter of the cells lacks proteins, the rest is in another order."""
    folder = tmp_path_factory.mktemp("multiome")
    pair = simulate_rna_protein(120, 150)
    order = np.random.default_rng(0).permutation(120)[:90]
    pair["rna"].obsm["X_own"] = np.ones((120, 2))
    pair["rna"].write_h5ad(folder / "rna.h5ad")
    pair["protein"][order].write_h5ad(folder / "protein.h5ad")
    return folder


@pytest.fixture(scope="module")
def joint(folder) -> Path:
    output = folder / "out.h5mu"
    words = (folder / "rna.h5ad", folder / "protein.h5ad", "-k", "cell_type", "-o", output)
    quick = (QUICK[0], QUICK[1] + ",multiomics.ablations.names=[start_alone]")
    text = scm("multiome", *words, "-b", "batch", "--start", "none", *quick)
    assert "ridge" in text and "report.html" in text
    return output


def test_the_modalities_come_back_as_they_were_with_what_was_told(folder, joint):
    after = mudata.read_h5mu(joint)
    rna, protein = after.mod["rna"], after.mod["protein"]
    before = simulate_rna_protein(120, 150)
    assert (rna.X != before["rna"].X).nnz == 0 and "X_own" in rna.obsm
    assert (protein.X != before["protein"][protein.obs_names].X).nnz == 0
    assert after.n_obs == 120 and after.obsm["X_scm_joint"].shape[1] >= 4
    assert np.isfinite(after.obsm["X_scm_joint"]).all()
    lacking = ~after.obs_names.isin(protein.obs_names)
    assert np.isnan(after.obsm["X_scm_protein"][lacking]).all() and lacking.sum() == 30
    told = after.obsm["scm_imputed_protein"]
    assert list(told.columns) == list(protein.var_names) and np.isfinite(told.to_numpy()).all()
    assert (protein.var["scm_imputed_error"] > 0).all()
    assert after.obs["scm_held_out"].sum() == 24
    assert list(after.uns["scm"]["modalities"]) == ["rna", "protein"]


def test_metrics_figures_and_report_stand_beside_it(joint):
    folder = joint.with_suffix(".scm")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics) == {"model", "baselines", "ablations", "data", "run", "summary"}
    assert {"pca_rna", "concatenated_pca", "harmony", "ridge"} <= set(metrics["baselines"])
    assert {"start_alone", "rna_view", "shuffled_protein"} <= set(metrics["ablations"])
    assert {"pearson_protein", "foscttm_protein"} <= set(metrics["model"])
    assert metrics["model"]["pearson_protein"] > 0.6
    assert metrics["data"]["modalities"] == {"rna": 120, "protein": 90}
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == len(list((folder / "figures").glob("*.png"))) > 3
    assert "cells-order" in page and "cells-unpaired" in page


@pytest.mark.slow
def test_the_checkpoint_tells_the_same_of_the_mudata_file_without_training(folder, joint):
    again = folder / "again.h5mu"
    scm("multiome", joint, "-c", joint.with_suffix(".scm") / "checkpoint", "-o", again)
    first, second = mudata.read_h5mu(joint), mudata.read_h5mu(again)
    assert list(first.obs_names) == list(second.obs_names)
    for key in ("X_scm_joint", "X_scm_rna", "X_scm_protein", "scm_imputed_protein"):
        one, two = (np.asarray(part.obsm[key]) for part in (first, second))
        assert np.array_equal(one, two, equal_nan=True), key
    metrics = json.loads((again.with_suffix(".scm") / "metrics.json").read_text())
    assert metrics["baselines"] == {} and "start_alone" not in metrics["ablations"]


@pytest.mark.slow
def test_a_trained_model_tells_the_proteins_of_cells_of_rna_alone(folder, joint):
    checkpoint = joint.with_suffix(".scm") / "checkpoint"
    output = folder / "told.h5mu"
    scm("multiome", folder / "rna.h5ad", "-c", checkpoint, "-o", output)
    whole, told = mudata.read_h5mu(joint), mudata.read_h5mu(output)
    assert list(told.mod) == ["rna"] and "scm_imputed_protein" in told.obsm
    one, two = (part.obsm["scm_imputed_protein"].to_numpy() for part in (whole, told))
    np.testing.assert_allclose(one, two, atol=1e-4)
    assert np.isnan(told.obsm["X_scm_protein"]).all()
    lacking = ~whole.obs_names.isin(whole.mod["protein"].obs_names)
    alike = [np.asarray(part.obsm["X_scm_joint"])[lacking] for part in (whole, told)]
    np.testing.assert_allclose(*alike, atol=1e-4)


@pytest.mark.slow
def test_rna_and_atac_of_one_file(tmp_path):
    pair = simulate_rna_atac(80, 80, 120, 40, 40)
    mudata.MuData(pair).write_h5mu(tmp_path / "cells.h5mu")
    words = (tmp_path / "cells.h5mu", "-o", tmp_path / "out.h5mu", *QUICK)
    scm("multiome", *words, "--start", "none")
    after = mudata.read_h5mu(tmp_path / "out.h5mu")
    assert after.obsm["scm_imputed_atac"].shape[0] == 80
    columns = after.obsm["scm_imputed_atac"].columns
    assert len(columns) > 100 and set(columns) <= set(after.mod["atac"].var_names)
    assert set(after.mod) == {"rna", "atac"} and "X_scm_atac" in after.obsm


def change(folder: Path, tmp_path: Path, how) -> tuple[Path, Path]:
    """Write the pair of files with the proteins changed."""
    pair = simulate_rna_protein(120, 150)
    pair["rna"].write_h5ad(tmp_path / "rna.h5ad")
    how(pair["protein"]).write_h5ad(tmp_path / "protein.h5ad")
    return tmp_path / "rna.h5ad", tmp_path / "protein.h5ad"


def disjoint(cells):
    cells.obs_names = [f"other_{n}" for n in range(cells.n_obs)]
    return cells


def duplicated(cells):
    cells.var_names = ["CD3", *cells.var_names[:-1]]
    return cells


def same_barcodes(cells):
    cells.obs_names = ["same"] * cells.n_obs
    return cells


def negative(cells):
    cells.X = cells.X.toarray() - 4.5
    return cells


def with_nan(cells):
    values = cells.X.toarray()
    values[3, 2] = np.nan
    cells.X = values
    return cells


@pytest.mark.parametrize(
    ("how", "rule"),
    [
        (disjoint, "cells-disjoint"),
        *(
            pytest.param(*one, marks=pytest.mark.slow)  # of `read_modalities`, as its own tests say
            for one in (
                (duplicated, "features-duplicate"),
                (same_barcodes, "cells-names"),
                (negative, "protein-negative"),
                (with_nan, "protein-values"),
                (lambda cells: cells[:0].copy(), "cells-none"),
                (lambda cells: cells[:, :0].copy(), "genes-none"),
            )
        ),
    ],
)
def test_modalities_that_do_not_go_together_are_refused(folder, tmp_path, how, rule):
    files = change(folder, tmp_path, how)
    text = refused(tmp_path, *files, "-o", tmp_path / "out.h5mu", *QUICK)
    assert f"Error ({rule})" in text


@pytest.mark.slow
def test_negative_proteins_can_be_said_to_be_background(folder, tmp_path):
    files = change(folder, tmp_path, negative)
    params = f"{QUICK[1]},multiomics.features.zero_negative_proteins=true"
    words = ("-o", tmp_path / "out.h5mu", "--start", "none", "--params", params)
    scm("multiome", *files, *words)


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("rna.h5ad",), "modality-one"),
        (("protein.h5ad",), "modality-missing"),
        (("rna.h5ad", "rna.h5ad"), "modality-duplicate"),
        (("rna.h5ad", "protien=protein.h5ad"), "modality-unknown"),
        (("rna.h5ad", "protein.h5ad", "-b", "bach"), "batch-missing"),
        (("rna.h5ad", "protein.h5ad", "--held-out", "splt=test"), "held-out-missing"),
        (("rna.h5ad", "protein.h5ad", "--held-out", "batch=x"), "held-out-empty"),
        (("rna.h5ad", "protein.h5ad", "--held-out", "batch"), "options"),
        (("rna.h5ad", "protein.h5ad", "--start", "scm-tny"), "checkpoint-folder"),
        (("rna.h5ad", "protein.h5ad", "-c", "x", "-b", "batch"), "options"),
        (("rna.h5ad", "protein.h5ad", "-c", "x", "--max-length", "9"), "options"),
    ],
)
def test_what_cannot_be_meant_is_refused(folder, tmp_path, monkeypatch, words, rule):
    monkeypatch.chdir(folder)
    text = refused(tmp_path, *words, "-o", tmp_path / "out.h5mu")
    assert f"Error ({rule})" in text


def test_outputs_are_mudata_files_and_never_what_is_read(folder, joint, tmp_path):
    files = (folder / "rna.h5ad", folder / "protein.h5ad")
    assert "(output-suffix)" in refused(tmp_path, *files, "-o", tmp_path / "out.h5ad")
    assert "(output-exists)" in refused(tmp_path, *files, "-o", joint)
    text = refused(tmp_path, joint, "-o", joint, "--force")
    assert "(output-is-input)" in text


def test_a_checkpoint_of_another_task_is_refused(folder, tmp_path):
    files = (folder / "rna.h5ad", folder / "protein.h5ad")
    from sc_mamba2.model import checkpoint_folder

    text = refused(tmp_path, *files, "-c", checkpoint_folder("scm-tiny"), "-o", tmp_path / "o.h5mu")
    assert "Error (checkpoint-task)" in text


@pytest.mark.slow
def test_a_batch_or_a_modality_that_the_checkpoint_does_not_know_is_refused(joint, tmp_path):
    checkpoint = joint.with_suffix(".scm") / "checkpoint"
    strange = mudata.read_h5mu(joint)
    strange.mod["rna"].obs["batch"] = ["new"] * 120
    strange.write_h5mu(tmp_path / "strange.h5mu")
    words = (tmp_path / "strange.h5mu", "-c", checkpoint, "-o", tmp_path / "out.h5mu")
    assert "Error (batch-unknown)" in refused(tmp_path, *words)
    mudata.MuData(simulate_rna_atac(80, 80, 120, 40, 40)).write_h5mu(tmp_path / "atac.h5mu")
    words = (tmp_path / "atac.h5mu", "-c", checkpoint, "-o", tmp_path / "out.h5mu")
    assert "Error (modality-unlearnt)" in refused(tmp_path, *words)
