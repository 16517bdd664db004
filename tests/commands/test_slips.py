"""Slips are answered without what takes seconds to load; in one process, since this one has loaded it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli import refused

from sc_mamba2.cells import simulate_cells
from sc_mamba2.runs.new_project import new_project

HEAVY = ("torch", "scanpy", "kedro", "anndata", "pandas", "scipy", "matplotlib", "sklearn", "zarr")
REF = ("-r", "ref.h5ad", "-k", "cell_type")
OUT = ("-o", "o.h5ad")
SLIPS: dict[str, tuple[tuple[str, ...], str]] = {
    "nothing to learn from": (("annotate", "ref.h5ad", *OUT), "options"),
    "labels not named": (("annotate", "-r", "ref.h5ad", *OUT), "options"),
    "checkpoint and reference": (("annotate", "ref.h5ad", *REF, "-c", "x", *OUT), "options"),
    "checkpoint and training": (
        ("integrate", "ref.h5ad", "-c", "x", "--start", "scm-tiny", *OUT),
        "options",
    ),
    "held out of nothing": (("multiome", "ref.h5ad", "--held-out", "x", "-o", "o.h5mu"), "options"),
    "cells without output": (("embed", "ref.h5ad"), "options"),
    "quiet and verbose": (("embed", "ref.h5ad", *OUT, "-q", "-v"), "usage"),
    "no such verb": (("anotate",), "usage"),
    "no such option": (("embed", "ref.h5ad", *OUT, "--layers", "x"), "usage"),
    "a word for a number": (("embed", "ref.h5ad", *OUT, "--seed", "x"), "usage"),
    "suffix of a table": (("network", "ref.h5ad", *OUT), "output-suffix"),
    "suffix of cells": (("embed", "ref.h5ad", "-o", "o.csv"), "output-suffix"),
    "suffix of genes": (("embed", "--genes", "genes.csv"), "output-suffix"),
    "no folder for it": (("embed", "ref.h5ad", "-o", "no/o.h5ad"), "output-folder"),
    "output is there": (("embed", "ref.h5ad", "-o", "ref.h5ad"), "output-exists"),
    "index is there": (("index", "ref.h5ad", "-k", "cell_type", "-o", "data"), "output-exists"),
    "no such file": (("embed", "rf.h5ad", *OUT), "file-missing"),
    "no such query": (("annotate", "rf.h5ad", *REF, *OUT), "file-missing"),
    "no such modality": (
        ("multiome", "rna=ref.h5ad", "protein=no.h5ad", "-o", "o.h5mu"),
        "file-missing",
    ),
    "no such source": (("embed", "simulated:three-typs", *OUT), "source-unknown"),
    "another format": (("embed", "README.md", *OUT), "file-format"),
    "an empty file": (("embed", "empty.h5ad", *OUT), "file-empty"),
    "no such label": (("annotate", "-r", "ref.h5ad", "-k", "type", *OUT), "label-missing"),
    "no such label of a query": (("embed", "ref.h5ad", "-k", "type", *OUT), "label-missing"),
    "no such batch": (("integrate", "ref.h5ad", "-b", "donor", *OUT), "batch-missing"),
    "no such perturbations": (("perturb", "ref.h5ad", "-p", "A", *OUT), "perturbation-missing"),
    "no such layer": (("embed", "ref.h5ad", "--layer", "counts", *OUT), "layer-missing"),
    "no such start": (("annotate", *REF, "--start", "scm-tinny", *OUT), "checkpoint-folder"),
    "no such checkpoint": (("embed", "ref.h5ad", "-c", "scm-tinny", *OUT), "checkpoint-folder"),
    "no such trained folder": (("integrate", "ref.h5ad", "-c", "no", *OUT), "checkpoint-folder"),
    "a trained folder of no task": (
        ("annotate", "ref.h5ad", "-c", "scm-tiny", *OUT),
        "checkpoint-task",
    ),
    "no such index": (("embed", "ref.h5ad", "--index", "no", *OUT), "index-folder"),
    "no such network": (
        ("network", "ref.h5ad", "--reference-network", "no.csv", "-o", "o.csv"),
        "reference-network",
    ),
    "no such list of genes": (
        ("network", "ref.h5ad", "--genes", "no.txt", "-o", "o.csv"),
        "regulators-file",
    ),
    "no such parameter": (("embed", "ref.h5ad", *OUT, "--params", "a.b=1"), "parameter-unknown"),
    "no value": (("embed", "ref.h5ad", *OUT, "--params", "compute.seed"), "params-syntax"),
    "a wrong value": (
        ("embed", "ref.h5ad", *OUT, "--params", "compute.seed=x"),
        "parameter-invalid",
    ),
    "a wrong word": (("annotate", *REF, "--fit", "ridge", *OUT), "parameter-invalid"),
    "a wrong device": (("embed", "ref.h5ad", "--device", "gpu", *OUT), "parameter-invalid"),
    "no such preset": (("pretrain", "ref.h5ad", "--preset", "tinny"), "preset"),
    "no such corpus": (("pretrain", "no.h5ad"), "file-missing"),
    "no such environment": (("pretrain", "ref.h5ad", "-e", "tset"), "env-unknown"),
    "run: no such pipeline": (("run", "-p", "anotation"), "pipeline-unknown"),
    "run: no such environment": (("run", "-e", "tset"), "env-unknown"),
    "run: no such runner": (("run", "-r", "Sequential"), "runner-unknown"),
    "run: no such configuration": (("run", "--conf-source", "no"), "conf-missing"),
    "run: no such file": (("run", "-p", "validation", "-i", "no.h5ad"), "file-missing"),
    "run: no such column": (("run", "-p", "annotation", "-i", "ref.h5ad"), "label-missing"),
    "run: no query": (("run", "-p", "annotation_query"), "source-none"),
    "run: a wrong value": (
        ("run", "-p", "annotation", "--params", "tokenization.n_bins=1"),
        "parameter-invalid",
    ),
    "dry run: no such column": (
        ("integrate", "ref.h5ad", "-b", "donor", *OUT, "--dry-run"),
        "batch-missing",
    ),
    "compare: no such run": (("compare", "a", "b"), "run-unknown"),
    "rerun: no such run": (("rerun", "a"), "run-unknown"),
    "validate: no such file": (("validate", "no.h5ad"), "file-missing"),
    "validate: no such column": (("validate", "ref.h5ad", "-k", "type"), "label-missing"),
    "explore: no such file": (("explore", "no.h5ad"), "file-missing"),
    "explore: its own input": (("explore", "ref.h5ad", "-o", "ref.h5ad"), "output-is-input"),
    "data: no such name": (("data", "pull", "kng"), "data-unknown"),
    "data: nothing of that name here": (("embed", "data:mine", *OUT), "data-absent"),
    "model: no such name": (("model", "pull", "mine"), "model-unknown"),
    "init: something is there": (("init", "data"), "init-folder"),
}
LISTS = (("runs",), ("model", "list"), ("data", "list"), ("--help",), ("annotate", "--help"))
PROGRAM = """
import json, sys
from typer.testing import CliRunner
from sc_mamba2.commands import app
heavy, calls = json.loads(sys.stdin.read())
for words in calls:
    result = CliRunner().invoke(app, words, prog_name="scm")
    loaded = [name for name in heavy if name in sys.modules]
    print(json.dumps([words, result.exit_code, loaded, repr(result.exception)]))
    if loaded:
        break
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = new_project(tmp_path_factory.mktemp("slips") / "project")
    simulate_cells(cells=20).write_h5ad(folder / "ref.h5ad")
    (folder / "empty.h5ad").touch()
    return folder


def test_no_slip_and_no_list_loads_what_takes_seconds(project):
    calls = [*LISTS, *(words for words, _ in SLIPS.values())]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=project,
        input=json.dumps([HEAVY, calls]),
        capture_output=True,
        text=True,
        check=True,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for words, code, loaded, error in found:
        assert loaded == [], words
        assert code == (0 if tuple(words) in LISTS else 2), (words, error)
    assert len(found) == len(calls)


@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_is_refused_by_its_rule(project, monkeypatch, name):
    monkeypatch.chdir(project)
    words, rule = SLIPS[name]
    before = sorted(project.iterdir())
    if rule == "usage":  # in the words of Typer
        from tests.cli import invoke

        assert invoke(*words).exit_code == 2
    else:
        refused(*words, rule=rule)
    assert sorted(project.iterdir()) == before


def test_the_nearest_checkpoint_is_named_and_known(project, monkeypatch):
    monkeypatch.chdir(project)
    text = refused("annotate", *REF, "--start", "scm-tinny", *OUT)
    assert "did you mean 'scm-tiny'?" in text and "gene table" not in text
    text = refused("annotate", "ref.h5ad", "-c", "scm-tiny", *OUT)
    assert "--start scm-tiny" in text
