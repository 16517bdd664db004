"""`scm network` in process: what is written, and what is refused."""

import re
from pathlib import Path

import igraph
import numpy as np
import pandas as pd
import pytest
from tests.cli import invoke

from sc_mamba2.cells import simulate_cells
from sc_mamba2.genes.transcription_factors import transcription_factors

QUICK = (
    "gene_network.genes.most_regulators=4,gene_network.genes.targets=25,"
    "gene_network.scoring.cells=20,gene_network.scoring.cells_a_regulator=4,"
    "gene_network.network.drawn=30"
)


MORE = ("--ablations",)
EVIDENCE = {"agreement", "correlation", "pearson", "boosting", "cosine"}
KNOCKED = {"knock_out_effect", "specific_effect"}


def edges_of(path: Path) -> set[str]:
    return set(pd.read_csv(path).columns)


@pytest.fixture(scope="module")
def cells(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("network") / "cells.h5ad"
    simulate_cells(genes=400).write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def done(cells) -> Path:
    """Edges of transcription factors."""
    output = cells.parent / "edges.csv"
    result = invoke("network", cells, "-o", output, "--params", QUICK)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return output


def test_edges_graph_modules_and_pictures_are_written(done):
    edges = pd.read_csv(done)
    assert len(edges) >= 4 * 24 and edges["source"].nunique() == 4
    assert (edges["source_id"] != edges["target_id"]).all()
    assert set(edges["source_id"]) <= transcription_factors()
    assert set(edges) >= EVIDENCE | KNOCKED
    assert edges["score"].is_monotonic_decreasing
    assert list(edges["rank"]) == list(range(1, len(edges) + 1))
    folder = done.with_suffix(".scm")
    graph = igraph.Graph.Read_GraphML(str(folder / "network.graphml"))
    modules = pd.read_csv(folder / "modules.csv")
    assert graph.ecount() == 30 and set(graph.vs["name"]) == set(modules["gene"])
    assert graph.es["score"] == pytest.approx(edges["score"][:30].tolist())
    assert sorted(path.name for path in (folder / "figures").iterdir()) == [
        "01_heat_map.png",
        "02_network.png",
    ]
    assert "No reference network was given" in (folder / "report.html").read_text()


@pytest.mark.slow
def test_named_regulators_are_judged_by_known_edges(cells, done, tmp_path):
    edges = pd.read_csv(done)
    first, second = edges["source"].unique()[:2]
    known = edges[edges["source"] == first].iloc[::3]
    table = known.rename(columns={"source": "tf"})[["tf", "target"]].assign(confidence="A")
    table.iloc[-1, 2] = "E"
    table.to_csv(tmp_path / "known.csv", index=False)
    (tmp_path / "genes.txt").write_text(f"{first}\n{second}\n")
    words = ("--genes", tmp_path / "genes.txt", "--reference-network", tmp_path / "known.csv")
    output = tmp_path / "out.csv"
    result = invoke("network", cells, "-o", output, *words, *MORE, "--params", QUICK)
    assert result.exit_code == 0, result.output + repr(result.exception)
    assert re.search(r"about \d+ (s|min) for", result.stderr), result.stderr
    assert set(pd.read_csv(output)["source"]) == {first, second}
    metrics = pd.read_json(tmp_path / "out.scm" / "metrics.json", typ="series")
    assert metrics["data"]["judged_regulators"] == 1
    assert metrics["data"]["known_edges"] == len(table) - 1
    assert {"correlation", "boosting"} <= metrics["baselines"].keys()
    assert "untrained cosine" in metrics["ablations"] and edges_of(output) >= EVIDENCE | KNOCKED
    assert np.isfinite(metrics["model"]["auprc_ratio"])
    assert "Best by AUPRC ratio" in (tmp_path / "out.scm" / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("--genes", "STAT1,NOSUCHGENE"), "gene-unknown"),
        (("--genes", "nowhere.txt"), "regulators-file"),
        (("--reference-network", "nowhere.csv"), "reference-network"),
        (("--reference-network", "COLUMNS"), "reference-network"),
        pytest.param(
            ("--params", "gene_network.genes.expressed_share=1.0"),
            "network-targets",
            marks=pytest.mark.slow,
        ),
        (("--checkpoint", "scm-tine"), "checkpoint-folder"),
    ],
)
def test_what_cannot_be_scored_is_refused(cells, tmp_path, words, rule):
    files, out = tmp_path / "files", tmp_path / "out"
    files.mkdir(), out.mkdir()
    (files / "columns.csv").write_text("a,b\n1,2\n")
    places = {"COLUMNS": files / "columns.csv"}
    words = [places.get(word, word) for word in words]
    result = invoke("network", cells, "-o", out / "out.csv", *words)
    assert result.exit_code == 2, result.output + repr(result.exception)
    assert f"Error ({rule})" in result.output and "Traceback" not in result.output
    assert list(out.iterdir()) == []


@pytest.mark.slow
def test_few_cells_are_refused(tmp_path):
    simulate_cells()[:9].copy().write_h5ad(tmp_path / "few.h5ad")
    result = invoke("network", tmp_path / "few.h5ad", "-o", tmp_path / "out.csv")
    assert result.exit_code == 2 and "Error (network-cells)" in result.output


def test_the_edges_are_a_csv(cells, tmp_path):
    result = invoke("network", cells, "-o", tmp_path / "out.h5ad")
    assert result.exit_code == 2 and "Error (output-suffix)" in result.output
