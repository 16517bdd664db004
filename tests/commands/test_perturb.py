"""`scm perturb` in process: what is written, that the checkpoint repeats it, what is refused."""

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from sc_mamba2.cells import simulate_perturbed
from sc_mamba2.commands import app

QUICK = (
    "--params",
    "perturbation.fine_tune.max_epochs=1,perturbation.head.pairs=4,"
    "perturbation.population.ensemble=3,perturbation.evaluation.ceiling_repeats=2",
)


def invoke(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


def scm(*words: object) -> str:
    result = invoke(*words)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.output


def refused(folder: Path, *words: object) -> str:
    before = sorted(path.name for path in folder.iterdir())
    result = invoke("perturb", *words)
    assert result.exit_code == 2, result.output + repr(result.exception)
    assert "Traceback" not in result.output and result.output.count("Error (") == 1
    assert sorted(path.name for path in folder.iterdir()) == before, "something was left behind"
    return result.output


def write(folder: Path, **changes: object) -> Path:
    """Write simulated cells, with columns of obs in the place of theirs."""
    cells = simulate_perturbed(cells=20, genes=80, targets=6, pairs=1)
    for name, column in changes.items():
        cells.obs[name] = column
    cells.write_h5ad(folder / "cells.h5ad")
    return folder / "cells.h5ad"


@pytest.fixture(scope="module")
def cells(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("perturb"))


@pytest.fixture(scope="module")
def names(cells) -> list[str]:
    found = set(ad.read_h5ad(cells, backed="r").obs["perturbation"])
    return sorted(name for name in found - {"control"} if "+" not in name)


@pytest.fixture(scope="module")
def perturbed(cells, names) -> Path:
    output = cells.with_name("out.h5ad")
    pair = f"{names[1]}+{names[0]}"
    words = ("-p", pair, "--context-key", "batch", "--no-ablations", *QUICK)
    text = scm("perturb", cells, "-o", output, *words)
    assert "training_mean" in text and "genes.csv" in text
    return output


def test_the_control_cells_come_back_as_they_were_with_the_layer(cells, perturbed, names):
    before, after = ad.read_h5ad(cells), ad.read_h5ad(perturbed)
    before = before[before.obs["perturbation"] == "control"]
    assert list(after.obs_names) == list(before.obs_names)
    assert (before.X != after.X).nnz == 0
    layer = after.layers["scm_predicted"]
    assert layer.shape == after.shape and layer.data.min() >= 0 and np.isfinite(layer.data).all()
    assert np.diff(layer.tocsc().indptr)[~after.var["scm_predicted"].to_numpy()].sum() == 0
    assert after.uns["scm"]["perturbation"] == f"{names[0]}+{names[1]}"
    values = np.log1p(1e4 * before.X.toarray() / before.X.sum(axis=1).A)
    change = np.asarray(layer.mean(axis=0)).ravel() - values.mean(axis=0)
    truth = before.uns["log_factors"].loc[names[:2]].sum().to_numpy()
    assert np.corrcoef(change, truth)[0, 1] > 0.5


def test_the_table_of_genes_says_what_the_layer_holds(perturbed):
    table = pd.read_csv(perturbed.with_suffix(".scm") / "genes.csv", index_col=0)
    after = ad.read_h5ad(perturbed)[:, table.index]
    mean = np.asarray(after.layers["scm_predicted"].mean(axis=0)).ravel()
    np.testing.assert_allclose(table["predicted_mean"], mean, atol=1e-5)
    assert set(table["direction"]) <= {"up", "down", "none"}
    change = table["predicted_mean"] - table["control_mean"]
    np.testing.assert_allclose(table["change"], change, atol=1e-12)
    assert (table["predicted_spread"] >= 0).all() and (table["ensemble_spread"] >= 0).all()


def test_metrics_figures_split_and_report_stand_beside_it(perturbed):
    folder = perturbed.with_suffix(".scm")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics) == {"model", "views", "baselines", "ablations", "data", "run"}
    assert set(metrics["baselines"]) == {
        "no_change",
        "training_mean",
        "matching_mean",
        "additive",
        "ridge",
    }
    assert {"pearson_delta", "pearson_delta_top", "mse"} <= set(metrics["model"])
    split = pd.read_parquet(folder / "split.parquet")
    held = set(split.loc[split["part"] == "test", "perturbation"]) - {"control"}
    assert held and not held & set(split.loc[split["part"] == "train", "perturbation"])
    assert [unit["unit"] for unit in metrics["data"]["units"]] == sorted(held)
    page = (folder / "report.html").read_text()
    assert (
        page.count("data:image/png;base64,") == len(list((folder / "figures").glob("*.png"))) == 4
    )


def test_the_checkpoint_gives_the_same_cells_without_training(cells, perturbed, names, tmp_path):
    checkpoint = perturbed.with_suffix(".scm") / "checkpoint"
    again = cells.with_name("again.h5ad")
    pair = f"{names[0]}+{names[1]}"
    scm("perturb", cells, "-p", pair, "-c", checkpoint, "-o", again)
    first, second = (ad.read_h5ad(path).layers["scm_predicted"] for path in (perturbed, again))
    assert abs(first - second).max() < 1e-6
    metrics = json.loads((again.with_suffix(".scm") / "metrics.json").read_text())
    assert metrics["model"] == {} and metrics["data"]["predicted"]["perturbation"] == pair
    alone = ad.read_h5ad(perturbed)
    del alone.obs["perturbation"], alone.layers["scm_predicted"]
    alone.write_h5ad(tmp_path / "alone.h5ad")
    scm(
        "perturb",
        tmp_path / "alone.h5ad",
        "-p",
        "STAT1",
        "-c",
        checkpoint,
        "-o",
        tmp_path / "o.h5ad",
    )
    assert ad.read_h5ad(tmp_path / "o.h5ad").uns["scm"]["perturbation"] == "STAT1"


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("-k", "perturbtion"), "perturbation-missing"),
        (("--control", "contrl"), "control-missing"),
        (("--context-key", "bach"), "context-missing"),
        (("--hold-out", "unseen_context"), "split-impossible"),
        (("--kind", "knockin"), "parameter-invalid"),
        (("--perturbation-features", "nowhere.csv"), "feature-file"),
        (("--params", "perturbation.split.held_out=[nothing]"), "split-name"),
        (("--params", "perturbation.split.key=prt"), "split-column"),
        (("--params", "perturbation.evaluation.names=[nothing]"), "scored-names"),
    ],
)
def test_words_that_do_not_fit_the_file_are_refused(cells, names, tmp_path, words, rule):
    text = refused(tmp_path, cells, "-p", names[0], "-o", tmp_path / "out.h5ad", *words)
    assert f"Error ({rule})" in text


@pytest.mark.parametrize("asked", ["nonsense", "STAT1+nonsense"])
def test_what_no_gene_is_and_no_cell_had_is_refused_before_any_training(cells, tmp_path, asked):
    text = refused(tmp_path, cells, "-p", asked, "-o", tmp_path / "out.h5ad")
    assert "Error (perturbation-unknown)" in text and "'nonsense'" in text


def test_an_unseen_compound_needs_features(cells, names, tmp_path):
    words = ("-o", tmp_path / "out.h5ad", "--kind", "chemical")
    text = refused(tmp_path, cells, "-p", "aspirin", *words)
    assert "Error (perturbation-unknown)" in text and "--perturbation-features" in text


def one_cell_each(obs: pd.DataFrame) -> list[str]:
    return [f"guide_{at}" if at >= 80 else "control" for at in range(len(obs))]


def test_a_perturbation_column_that_cannot_be_learnt_from_is_refused(tmp_path):
    obs = simulate_perturbed(cells=20, genes=80, targets=6, pairs=1).obs
    wrong = {
        "control-missing": obs["perturbation"].astype(str).replace("control", "baseline"),
        "perturbation-none": ["control"] * len(obs),
        "perturbation-cells": one_cell_each(obs),
        "perturbation-name": obs["perturbation"].astype(str) + "+",
    }
    for rule, column in wrong.items():
        folder = tmp_path / rule
        folder.mkdir()
        path = write(folder, perturbation=column)
        text = refused(folder, path, "-p", "STAT1", "-o", folder / "out.h5ad")
        assert f"Error ({rule})" in text


def test_a_held_out_gene_among_the_training_cells_is_refused(tmp_path, names):
    obs = simulate_perturbed(cells=20, genes=80, targets=6, pairs=1).obs
    part = np.where(obs["perturbation"] == names[0], "test", "train").astype(object)
    part[np.flatnonzero(obs["perturbation"] == names[0])[:3]] = "train"
    path = write(tmp_path, part=part)
    words = ("-o", tmp_path / "out.h5ad", "--params", "perturbation.split.key=part")
    text = refused(tmp_path, path, "-p", names[0], *words)
    assert "Error (split-leak)" in text and f"'{names[0]}'" in text


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("-p", "STAT1", "-c", "folder", "--control", "x"),
        ("-p", "STAT1", "-c", "folder", "--start", "scm-tiny"),
        ("-p", "STAT1", "-c", "folder", "--max-length", "100"),
    ],
)
def test_contradictions_are_refused(cells, tmp_path, words):
    text = refused(tmp_path, cells, "-o", tmp_path / "out.h5ad", *words)
    assert "Error (options)" in text


def test_doses_and_a_table_of_features_describe_a_compound_that_no_cell_had(tmp_path):
    obs = simulate_perturbed(cells=20, genes=80, targets=6, pairs=1).obs
    single = sorted({name for name in obs["perturbation"] if "+" not in name} - {"control"})
    drugs = {name: f"drug{place}" for place, name in enumerate(single)}
    names = obs["perturbation"].astype(str).replace(drugs)
    names[names.str.contains("+", regex=False)] = "control"
    dose = np.where(np.arange(len(obs)) % 2, 1.0, 10.0)
    path = write(tmp_path, perturbation=names, dose=dose)
    rows = "".join(f"drug{place},{place},{place % 2}\n" for place in range(1, 8))
    (tmp_path / "table.csv").write_text("name,a,b\n" + rows)
    words = ("--kind", "chemical", "--perturbation-features", tmp_path / "table.csv")
    params = f"{QUICK[1]},perturbation.keys.dose_key=dose,perturbation.head.paths=[start]"
    output = tmp_path / "out.h5ad"
    scm("perturb", path, "-p", "drug7@3", "-o", output, *words, "--params", params)
    trust = json.loads((tmp_path / "out.scm" / "metrics.json").read_text())["data"]["predicted"]
    assert trust["seen"] == "never" and all("@" in name for name in trust["nearest_seen"])
    more = ("-c", tmp_path / "out.scm" / "checkpoint", "-o", tmp_path / "more.h5ad")
    scm("perturb", path, "-p", "drug1@30", *more)
    trust = json.loads((tmp_path / "more.scm" / "metrics.json").read_text())["data"]["predicted"]
    assert trust["seen"] == "at other doses"
