"""`scm perturb` in process: what is written, that the checkpoint repeats it, what is refused."""

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from tests import cli

from sc_mamba2.cells import simulate_perturbed, target_gene

QUICK = (
    "--params",
    "perturbation.fine_tune.max_epochs=1,perturbation.head.pairs=4,"
    "perturbation.population.ensemble=3,perturbation.evaluation.ceiling_repeats=2",
)


def scm(*words: object) -> str:
    return cli.entered(*words).output


def refused(folder: Path, *words: object) -> str:
    return cli.refused("perturb", *words, folder=folder)


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
    words = ("-p", pair, "--context-key", "batch", *QUICK)
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
    assert set(metrics) == {"model", "views", "baselines", "ablations", "data", "run", "summary"}
    assert set(metrics["baselines"]) == {
        "no_change",
        "training_mean",
        "shrunken_mean",
        "matching_mean",
        "additive",
        "ridge",
        "ridge_reactome",
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


@pytest.mark.slow
def test_the_checkpoint_gives_the_same_cells_without_training(cells, perturbed, names):
    checkpoint = perturbed.with_suffix(".scm") / "checkpoint"
    again = cells.with_name("again.h5ad")
    pair = f"{names[0]}+{names[1]}"
    scm("perturb", cells, "-p", pair, "-c", checkpoint, "-o", again)
    first, second = (ad.read_h5ad(path).layers["scm_predicted"] for path in (perturbed, again))
    assert abs(first - second).max() < 1e-6
    metrics = json.loads((again.with_suffix(".scm") / "metrics.json").read_text())
    assert metrics["model"] == {} and metrics["data"]["predicted"]["perturbation"] == pair


@pytest.mark.slow
def test_cells_that_were_told_of_are_all_that_a_checkpoint_needs(perturbed, tmp_path):
    checkpoint = perturbed.with_suffix(".scm") / "checkpoint"
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
        (("--kind", "knockin"), "parameter-invalid"),
        (("--perturbation-features", "nowhere.csv"), "feature-file"),
        *(
            pytest.param(*one, marks=pytest.mark.slow)  # in `tests/tasks/perturbation` too
            for one in (
                (("--hold-out", "unseen_context"), "split-impossible"),
                (("--params", "perturbation.split.held_out=[nothing]"), "split-name"),
                (("--params", "perturbation.split.key=prt"), "split-column"),
                (("--params", "perturbation.evaluation.names=[nothing]"), "scored-names"),
            )
        ),
    ],
)
def test_words_that_do_not_fit_the_file_are_refused(cells, names, tmp_path, words, rule):
    text = refused(tmp_path, cells, "-p", names[0], "-o", tmp_path / "out.h5ad", *words)
    assert f"Error ({rule})" in text


@pytest.mark.parametrize(
    "asked", [pytest.param("nonsense", marks=pytest.mark.slow), "STAT1+nonsense"]
)
def test_what_no_gene_is_and_no_cell_had_is_refused_before_any_training(cells, tmp_path, asked):
    text = refused(tmp_path, cells, "-p", asked, "-o", tmp_path / "out.h5ad")
    assert "Error (perturbation-unknown)" in text and "'nonsense'" in text


@pytest.mark.slow
def test_an_unseen_compound_needs_features(cells, names, tmp_path):
    words = ("-o", tmp_path / "out.h5ad", "--kind", "chemical")
    text = refused(tmp_path, cells, "-p", "aspirin", *words)
    assert "Error (perturbation-unknown)" in text and "--perturbation-features" in text


def one_cell_each(obs: pd.DataFrame) -> list[str]:
    return [f"guide_{at}" if at >= 80 else "control" for at in range(len(obs))]


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
    assert trust["seen"] == "never" and all("@" in name for name in trust["likeness"]["nearest"])
    more = ("-c", tmp_path / "out.scm" / "checkpoint", "-o", tmp_path / "more.h5ad")
    scm("perturb", path, "-p", "drug1@30", *more)
    trust = json.loads((tmp_path / "more.scm" / "metrics.json").read_text())["data"]["predicted"]
    assert trust["seen"] == "at other doses"


@pytest.mark.slow
def test_genes_that_are_not_predicted_keep_the_value_of_the_control_cell(
    cells, perturbed, tmp_path
):
    raw = ad.read_h5ad(cells)
    raw = raw[raw.obs["perturbation"] == "control"].copy()
    more = ad.AnnData(
        raw.X[:, :6].copy(), obs=raw.obs, var=pd.DataFrame(index=[f"clone-{at}" for at in range(6)])
    )
    more.X.data *= 3
    wide = ad.concat([raw, more], axis=1, merge="first")
    wide.raw = wide  # the expression is that of raw, whose genes stand in another order here
    wide = wide[:, np.random.default_rng(0).permutation(wide.n_vars)].copy()
    wide.X = wide.X * 1.5
    wide.write_h5ad(tmp_path / "wide.h5ad")
    checkpoint = perturbed.with_suffix(".scm") / "checkpoint"
    output = tmp_path / "out.h5ad"
    scm("perturb", tmp_path / "wide.h5ad", "-p", "STAT1", "-c", checkpoint, "-o", output)
    after = ad.read_h5ad(output)
    apart = ~after.var["scm_predicted"].to_numpy()
    assert set(after.var_names[apart]) == {f"clone-{at}" for at in range(6)}
    whole = after.raw.to_adata()[:, after.var_names].X.toarray()
    expected = np.log1p(1e4 * whole / whole.sum(axis=1, keepdims=True))
    layer = after.layers["scm_predicted"].toarray()
    np.testing.assert_allclose(layer[:, apart], expected[:, apart], rtol=1e-5)
    assert abs(layer[:, ~apart] - expected[:, ~apart]).max() > 0.1


def test_scores_are_of_all_that_was_held_out_with_the_ceilings_beside_them(perturbed):
    folder = perturbed.with_suffix(".scm")
    metrics = json.loads((folder / "metrics.json").read_text())
    data = metrics["data"]
    units = {unit["unit"]: unit for unit in data["units"]}
    assert data["scored"] == list(units)
    for method, mean in {"model": metrics["model"], **metrics["baselines"]}.items():
        own = [unit["scores"][method]["pearson_delta"] for unit in units.values()]
        assert mean["pearson_delta"] == pytest.approx(np.mean(own))
    assert data["with_effect"] == [n for n, unit in units.items() if unit["ceiling"] >= 0.3]
    page = (folder / "report.html").read_text()
    assert f"of all {len(units)} held-out perturbations" in page
    if data["with_effect"]:
        above = [units[n]["scores"]["model"]["pearson_delta"] for n in data["with_effect"]]
        view = metrics["views"]["model: with an effect"]
        assert view["pearson_delta"] == pytest.approx(np.mean(above))


QUICKEST = (*QUICK[:1], f"{QUICK[1]},perturbation.head.paths=[start]")


def named(folder: Path, rename, column: str = "perturbation") -> tuple[Path, list[str]]:
    """Simulated cells whose perturbations bear other names; and the six genes."""
    cells = simulate_perturbed(cells=10, genes=80, targets=6, pairs=0)
    text = cells.obs["perturbation"].astype(str)
    genes = sorted(set(text) - {"control"})
    cells.obs[column] = [rename(name, at) for at, name in enumerate(text)]
    cells.write_h5ad(folder / "named.h5ad")
    return folder / "named.h5ad", genes


def predicted(path: Path, *words: object) -> tuple[dict, str]:
    """What is said of a prediction, and the screen."""
    output = path.with_name("named_out.h5ad")
    text = scm("perturb", path, "-o", output, *words, *QUICKEST)
    facts = json.loads((output.with_suffix(".scm") / "metrics.json").read_text())
    return facts["data"]["predicted"], text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rename", "asked", "control"),
    {
        "gears": (lambda n, i: "ctrl" if n == "control" else f"{n}+ctrl", "{}+ctrl", "ctrl"),
        "blanks": (
            lambda n, i: " ctrl " if n == "control" else f" ctrl+{n}" if i % 2 else f"{n} + ctrl ",
            "ctrl+{}",
            "ctrl",
        ),
        "guides": (
            lambda n, i: f"non-targeting_{i % 8:05d}" if n == "control" else f"{n}_g{i % 2 + 1}",
            "{}",
            "non-targeting",
        ),
        "guide asked": (
            lambda n, i: f"NT_{i % 8}" if n == "control" else f"sg{n}-{i % 2 + 1}",
            "{}_sg9",
            "control",
        ),
        "several controls": (
            lambda n, i: ("NT", "ctrl", "safe-targeting_3")[i % 3] if n == "control" else n,
            "{}",
            "control",
        ),
    }.values(),
    ids=("gears", "blanks", "guides", "guide asked", "several controls"),
)  # fmt: skip
def test_names_of_the_field_are_read(tmp_path, rename, asked, control):
    path, genes = named(tmp_path, rename)
    trust, text = predicted(path, "--control", control, "-p", asked.format(genes[0]))
    assert trust["perturbation"] == genes[0] and trust["seen"] == "in these contexts"
    if control != "ctrl":
        assert "names were read as the control" in text


@pytest.mark.slow
def test_a_request_by_the_id_of_a_gene_is_the_gene(tmp_path):
    path, genes = named(tmp_path, lambda name, at: name)
    ident = target_gene(genes[0])
    assert predicted(path, "-p", ident)[0]["perturbation"] == genes[0]
    trust, _ = predicted(path, "-p", genes[0], "--force")
    assert trust["seen"] == "in these contexts"


@pytest.mark.slow
def test_a_compound_with_a_plus_is_whole_and_the_mend_for_an_unknown_one_works(tmp_path):
    drugs = ["(+)-JQ1", "Poly(I:C)+LPS", "D-(+)-Glucose", "Ca2+", "A@ site", "Quisinostat"]
    genes = named(tmp_path, lambda name, at: name)[1]
    names = dict(zip(genes, drugs, strict=True)) | {"control": "DMSO_1"}
    path, _ = named(tmp_path, lambda name, at: names[name], "drug")
    words = ("-k", "drug", "--kind", "chemical", "--control", "vehicle")
    for drug in drugs[:2]:
        trust, _ = predicted(path, "-p", drug, *words, "--force")
        assert trust["perturbation"] == drug and trust["seen"] == "in these contexts"
    more = ("-o", tmp_path / "new.h5ad", *QUICKEST)
    text = refused(tmp_path, path, "-p", "(+)-JQ2", *words, *more)
    assert "found:    '(+)-JQ2'" in text and "did you mean '(+)-JQ1'" in text
    rows = "".join(f'"{drug}",{at},{at % 2}\n' for at, drug in enumerate([*drugs, "(+)-JQ2"], 1))
    (tmp_path / "table.csv").write_text("name,a,b\n" + rows)
    mend = ("--perturbation-features", tmp_path / "table.csv")
    trust, _ = predicted(path, "-p", "(+)-JQ2", *words, *mend, "--force")
    assert trust["seen"] == "never"


@pytest.mark.slow
def test_the_mend_for_a_gene_in_another_case_works(cells, names, tmp_path):
    text = refused(tmp_path, cells, "-p", names[0].lower(), "-o", tmp_path / "out.h5ad")
    assert f"did you mean '{names[0]}'" in text
