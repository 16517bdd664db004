"""`scm reverse` in process: the right perturbation is found, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.cli import invoke

from sc_mamba2.cells import simulate_perturbed

QUICK = (
    "perturbation.head.paths=[start],perturbation.ablations.names=[],"
    "perturbation.population.ensemble=2,perturbation.evaluation.ceiling_repeats=1"
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, Path, list[str]]:
    """Cells, a checkpoint that learnt from half of them, and the single perturbations."""
    folder = tmp_path_factory.mktemp("reverse")
    cells = simulate_perturbed(cells=60, genes=100, targets=6, pairs=2)
    half = np.random.default_rng(0).random(cells.n_obs) < 0.5
    cells[half].write_h5ad(folder / "first.h5ad")
    cells[~half].write_h5ad(folder / "second.h5ad")
    names = sorted(cells.uns["log_factors"].index)
    words = ("-p", names[0], "-o", folder / "out.h5ad", "--params", QUICK)
    result = invoke("perturb", folder / "first.h5ad", *words)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return folder / "second.h5ad", folder / "out.scm" / "checkpoint", names


def ranked(trained, output: Path, target: str, *words: object) -> pd.DataFrame:
    cells, checkpoint, _ = trained
    result = invoke("reverse", cells, "--target", target, "-c", checkpoint, "-o", output, *words)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return pd.read_csv(output)


def test_the_perturbations_of_other_cells_are_found_and_shown(trained, tmp_path):
    names = trained[2]
    table = ranked(trained, tmp_path / "out.csv", names[0])
    assert list(table["rank"]) == list(range(1, 9))
    assert table["probability"].sum() == pytest.approx(1) and table["seen"].all()
    assert isinstance(table["genes"][0], str) and table["genes"][0][-1] in "+-"
    folder = tmp_path / "out.scm"
    assert sorted(path.name for path in (folder / "figures").iterdir()) == [
        "01_candidates.png",
        "02_drivers.png",
        "03_calibration.png",
        "04_known.png",
    ]
    metrics = json.loads((folder / "metrics.json").read_text())
    known = {one["state"]: one for one in metrics["data"]["known"]}
    assert set(names) < set(known) and not any(one["learnt"] for one in known.values())
    places = table.set_index("perturbation")["rank"]
    assert known[names[0]]["ranks"]["model"] == places[names[0]]
    assert metrics["model"]["mrr"] > 0.7 > 2 * metrics["baselines"]["random"]["mrr"]
    assert 0 <= metrics["data"]["calibration"]["right"] <= 1
    page = (folder / "report.html").read_text()
    assert "the best baseline" in page and "OPTIMISTIC" not in page


@pytest.mark.slow
def test_scores_on_the_cells_that_were_learnt_from_are_said_to_flatter(trained, tmp_path):
    _, checkpoint, names = trained
    first = checkpoint.parents[1] / "first.h5ad"
    words = ("--target", names[0], "-c", checkpoint, "-o", tmp_path / "out.csv")
    result = invoke("reverse", first, *words)
    assert result.exit_code == 0, result.output + repr(result.exception)
    metrics = json.loads((tmp_path / "out.scm" / "metrics.json").read_text())
    assert all(one["learnt"] for one in metrics["data"]["known"])
    assert "OPTIMISTIC" in (tmp_path / "out.scm" / "report.html").read_text()


@pytest.mark.slow
def test_a_dry_run_counts_what_would_be_ranked(trained, tmp_path):
    cells, checkpoint, names = trained
    words = ("reverse", cells, "--target", names[0], "-c", checkpoint, "-o", tmp_path / "o.csv")
    told = json.loads(invoke(*words, "--dry-run", "--json").stdout)
    assert told["work"]["steps"] == 8 and told["seconds"] is None
    first, *others = told["writes"]
    assert first == str(tmp_path / "o.csv") and not list(tmp_path.iterdir())
    assert str(tmp_path / "o.scm" / "report.html") in others
    assert "there is no step to time" in invoke(*words, "--dry-run").stdout


@pytest.mark.slow
def test_pairs_and_listed_candidates_are_ranked(trained, tmp_path):
    names = trained[2]
    (tmp_path / "list.txt").write_text("\n".join([*names[:3], "STAT1", ""]))
    table = ranked(
        trained, tmp_path / "o.csv", names[0], "--candidates", tmp_path / "list.txt", "--pairs"
    )
    assert len(table) == 4 + 6
    unseen = table.loc[~table["seen"], "perturbation"]
    assert "STAT1" in set(unseen)


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("--target", "nothing"), "state-unknown"),
        (("--target", "control"), "state-same"),
        (("--target", "x", "-k", "state"), "state-missing"),
        (("--target", "FIRST", "--candidates", "nowhere.txt"), "candidates-file"),
        (
            ("--target", "FIRST", "--params", "reverse_perturbation.candidates.most=2"),
            "candidates-many",
        ),
        (
            ("--target", "FIRST", "--params", "reverse_perturbation.rank.strongest=0.1"),
            "parameter-invalid",
        ),
    ],
)
def test_what_cannot_be_ranked_is_refused(trained, tmp_path, words, rule):
    cells, checkpoint, names = trained
    words = [names[0] if word == "FIRST" else word for word in words]
    result = invoke("reverse", cells, "-c", checkpoint, "-o", tmp_path / "out.csv", *words)
    assert result.exit_code == 2, result.output + repr(result.exception)
    assert f"Error ({rule})" in result.output and "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_candidate_that_nothing_is_known_of_is_refused(trained, tmp_path):
    cells, checkpoint, names = trained
    (tmp_path / "list.txt").write_text("nonsense\nSTAT1\n")
    words = ("--target", names[0], "--candidates", tmp_path / "list.txt", "-o", tmp_path / "o.csv")
    result = invoke("reverse", cells, "-c", checkpoint, *words)
    assert result.exit_code == 2 and "Error (perturbation-unknown)" in result.output


def test_the_list_of_candidates_is_not_written_over(trained, tmp_path):
    cells, checkpoint, names = trained
    (tmp_path / "list.csv").write_text("STAT1\nIRF1\n")
    words = ("--candidates", tmp_path / "list.csv", "-o", tmp_path / "list.csv", "--force")
    result = invoke("reverse", cells, "--target", names[0], "-c", checkpoint, *words)
    assert result.exit_code == 2 and "Error (output-is-input)" in result.output
    assert (tmp_path / "list.csv").read_text() == "STAT1\nIRF1\n"
