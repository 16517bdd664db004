"""`--dry-run`: what it tells is what a run does, it writes nothing, and it refuses what a run refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli import entered, refused

from sc_mamba2.cells import simulate_perturbed
from sc_mamba2.cells.simulate import simulate_cells
from sc_mamba2.cells.simulate_pairs import simulate_rna_protein
from sc_mamba2.pipelines.registry import named_pipelines
from sc_mamba2.runs.new_project import new_project
from sc_mamba2.runs.probes import PROBES
from sc_mamba2.runs.selection import Selection
from sc_mamba2.runs.session import run_in_folder
from sc_mamba2.tasks.table import TASKS
from sc_mamba2.tokens import load_tokens
from sc_mamba2.training.loop import _Trainer

ROOT = Path(__file__).parents[2]
EPOCHS = {
    "annotation": {
        "head": {"fit": "gradient"},
        "fine_tune": {"max_epochs": 2, "batch_size": 10},
    }
}


def dry(*words: object) -> dict[str, Any]:
    return json.loads(entered(*words, "--dry-run", "--json").stdout)


def everything(*folders: Path) -> dict[str, Any]:
    """Every file and folder with its time of change."""
    paths = [path for folder in folders for path in (folder, *folder.rglob("*"))]
    return {str(path): path.stat().st_mtime_ns for path in paths if path.exists()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dry")
    cells = simulate_cells(60, 200)
    cells.obs["batch"] = ["first", "second"] * 30
    cells.write_h5ad(folder / "cells.h5ad")
    perturbed = simulate_perturbed(cells=20, genes=80, targets=6, pairs=1)
    perturbed.write_h5ad(folder / "perturbed.h5ad")
    for kind, part in simulate_rna_protein(60, 100).items():
        part.write_h5ad(folder / f"{kind}.h5ad")
    return folder


QUICK = [
    ("annotate -r cells.h5ad -k cell_type --fit gradient -o out.h5ad", "fine-tuning", "out.h5ad"),
    ("integrate cells.h5ad -b batch -o out.h5ad", "fit at once", "out.scm/checkpoint"),
    (
        "network cells.h5ad --batch-size 4 -o out.csv --params gene_network.genes.targets=20",
        "knock-outs",
        "out.scm/network.graphml",
    ),
]
SLOW = [
    ("annotate -r cells.h5ad -k cell_type -o out.h5ad", "fit at once", "out.h5ad"),
    ("integrate cells.h5ad -b batch --fit gradient -o out.h5ad", "fine-tuning", "out.h5ad"),
    ("perturb perturbed.h5ad -p SKI -o out.h5ad", "fine-tuning", "out.scm/genes.csv"),
    ("multiome rna.h5ad protein.h5ad -o out.h5mu", "fine-tuning", "out.h5mu"),
    ("denoise cells.h5ad -o out.h5ad", "denoising", "out.scm/metrics.json"),
]


@pytest.mark.parametrize(
    ("words", "work", "writes"),
    [*QUICK, *(pytest.param(*one, marks=pytest.mark.slow) for one in SLOW)],
)
def test_every_verb_can_be_dry_and_leaves_all_as_it_was(folder, monkeypatch, words, work, writes):
    monkeypatch.chdir(folder)
    before = everything(folder)
    found = dry(*words.split(), "--params", "compute.seed=1")
    assert everything(folder) == before
    assert found["work"]["name"] == work and str(folder / writes) in found["writes"]
    assert found["seconds"] > 0 and 0 < found["work"]["probed"] <= 3
    assert (found["work"]["trained"] > 0) == (work == "fine-tuning")
    assert found["reports"]
    for report in found["reports"].values():
        assert report["cells"] in (60, 220) and report["genes"]["matched"] >= 80


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "untimed"),
    [("run --pipeline annotation,batch_correction", 1), ("pretrain", 0)],  # the second of two tasks
)
def test_a_project_is_left_as_it_was(monkeypatch, tmp_path, words, untimed):
    project = new_project(tmp_path / "own")  # no other test runs in it
    monkeypatch.chdir(project)
    before = everything(project)
    found = dry(*words.split(), "--env", "test")
    assert everything(project) == before
    assert found["untimed"].count("fine_tune") == untimed == len(found["later"])
    reports = str(project / "data" / "test" / "08_reporting")
    assert any(path.startswith(reports) for path in found["writes"])


@pytest.mark.slow
def test_what_is_told_is_what_a_run_does(folder, tmp_path, monkeypatch):
    params = "annotation.head.fit=gradient,annotation.fine_tune.max_epochs=2,annotation.fine_tune.batch_size=10"
    words = ("annotate", "-r", folder / "cells.h5ad", "-k", "cell_type", "-o", tmp_path / "o.h5ad")
    told = dry(*words, "--params", params)

    taken, step = [], _Trainer.step
    monkeypatch.setattr(_Trainer, "step", lambda *parts: taken.append(1) or step(*parts))
    selection = Selection(
        pipelines=("annotation",),
        to_nodes=("annotation.fine_tune",),
        params={"input": str(folder / "cells.h5ad"), **EPOCHS}
        | {"annotation": EPOCHS["annotation"] | {"labels": {"key": "cell_type"}}},
    )
    written = run_in_folder(selection, tmp_path).written
    assert told["work"]["steps"] == len(taken)
    counts = told["work"]["tokens"] | told["later"]
    for role in ("training", "validation", "query"):
        tokens = load_tokens(written[f"annotation.{role}_tokens"])
        assert counts[role]["cells"] == len(tokens)
        assert counts[role]["tokens"] == int((tokens.lengths + 1).sum())


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("-k", "cell_typ"), "label-missing"),
        (("-k", "cell_type", "--max-length", "1"), "parameter-invalid"),
        (("-k", "cell_type", "-o", "cells.h5ad"), "output-exists"),
    ],
)
def test_what_a_run_refuses_is_refused(folder, monkeypatch, words, rule):
    monkeypatch.chdir(folder)
    before = everything(folder)
    verb = ("annotate", "-r", "cells.h5ad", "-o", "new.h5ad", *words)
    dried = refused(*verb, "--dry-run", rule=rule)
    assert everything(folder) == before
    assert dried == refused(*verb, rule=rule)


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.verb)
def test_every_task_has_a_probe(task):
    assert any(one.func in PROBES for one in named_pipelines()[task.pipeline].nodes)


@pytest.mark.slow
def test_in_words_and_quietly(folder):
    words = (
        "embed",
        folder / "cells.h5ad",
        "-o",
        folder / "o.h5ad",
        "--max-length",
        10,
        "--dry-run",
    )
    text = entered(*words).stdout
    assert "nothing was written" in text and "an estimate from 1 step of" in text
    assert "600 of 60 cells, median 10 per cell, longest 10; 60 cells at the limit of 10" in text
    quiet = entered(*words, "--quiet").output.split()
    assert quiet[0] == str(folder / "o.h5ad") and len(quiet) == 4


@pytest.mark.slow
def test_a_pipeline_without_long_work_is_checked_all_the_same(folder, monkeypatch):
    monkeypatch.chdir(ROOT)
    words = ("run", "--pipeline", "tokenization", "--input")
    found = dry(*words, folder / "cells.h5ad")
    assert found["work"] is None and found["reports"]["reference"]["cells"] == 60
    (folder / "bad").mkdir()
    refused(*words, folder / "bad", "--dry-run")
