"""The verbs as a person types them, in process."""

import html
import json
import re
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from tests.cli import entered

from sc_mamba2.cells import simulate_cells
from sc_mamba2.files import sha256_of
from sc_mamba2.runs.records import read_record

QUICK = [
    "--params",
    "annotation.fine_tune.max_epochs=2,annotation.baselines.regularisation=[1.0]",
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verbs")
    simulate_cells(120, 150, seed=1).write_h5ad(folder / "reference.h5ad")
    query = simulate_cells(60, 200, seed=1)
    query.obs_names = [f"query_{n}" for n in range(60)]
    query.write_h5ad(folder / "query.h5ad")
    return folder


@pytest.fixture(scope="module")
def annotated(files):
    out = files / "out.h5ad"
    words = ("--reference", files / "reference.h5ad", "--label-key", "cell_type", "-o", out)
    text = entered("annotate", files / "query.h5ad", *words, *QUICK).output
    return out, text


@pytest.mark.slow
def test_a_pretrained_model_and_prototypes_annotate_without_training(files):
    out, again = files / "prototypes.h5ad", files / "prototypes_again.h5ad"
    words = ("--reference", files / "reference.h5ad", "--label-key", "cell_type", "-o", out)
    entered("annotate", *words, "--start", "scm-tiny", "--fit", "prototypes")
    checkpoint = out.with_suffix(".scm") / "checkpoint"
    record = json.loads((checkpoint / "config.json").read_text())
    assert record["settings"]["head"]["fit"] == "prototypes"
    scores = json.loads((out.with_suffix(".scm") / "metrics.json").read_text())
    assert scores["model"]["accuracy"] > 0.6  # a third is chance
    entered("annotate", files / "reference.h5ad", "-c", checkpoint, "-o", again)
    held_out, every = ad.read_h5ad(out), ad.read_h5ad(again)
    assert every.obsm["X_scm"].shape == (120, 2 * record["model"]["d_model"])
    same = every.obs.loc[held_out.obs_names, "scm_cell_type"].astype(str)
    assert (same == held_out.obs["scm_cell_type"].astype(str)).all()


@pytest.mark.slow
def test_results_name_the_command_as_typed_and_the_parameters_of_the_model(files, monkeypatch):
    """With a checkpoint: the model's own label column and genes, not those that are the default here."""
    monkeypatch.chdir(files)
    out = "first run.h5ad"
    words = ("-r", "reference.h5ad", "-k", "cell_type", "-o", out, "--max-length", "100", "--quiet")
    entered("annotate", *words, *QUICK)
    entered("annotate", "query.h5ad", "-c", "first run.scm/checkpoint", "-o", "second.h5ad")
    trained, used = (ad.read_h5ad(files / name).uns["scm"] for name in (out, "second.h5ad"))
    typed = "scm annotate query.h5ad -c 'first run.scm/checkpoint' -o second.h5ad"
    assert used["command"] == typed
    assert trained["command"].startswith(
        "scm annotate -r reference.h5ad -k cell_type -o 'first run"
    )
    for name, value in {
        "annotation.labels.key": "cell_type",
        "annotation.fine_tune.max_epochs": 2,
        "tokenization.max_length": 100,
    }.items():
        assert json.loads(trained["parameters"])[name] == value
        assert json.loads(used["parameters"])[name] == value
    assert read_record(files / "second.scm").command == typed
    report = re.sub(r"<[^>]+>", " ", (files / "second.scm" / "report.html").read_text("utf-8"))
    rows = " ".join(html.unescape(report).split())
    assert typed in rows
    for row in (
        "annotation.labels.key cell_type (from the checkpoint)",
        "annotation.fine_tune.max_epochs 2 (from the checkpoint)",
        "tokenization.max_length 100 (from the checkpoint)",
        "annotation.predict.batch_size 64 annotation",
    ):
        assert row in rows, row


def test_annotate_writes_cells_report_and_checkpoint_in_any_folder(annotated):
    out, text = annotated
    folder = out.with_suffix(".scm")
    assert {p.name for p in folder.iterdir()} >= {
        "report.html",
        "metrics.json",
        "figures",
        "checkpoint",
    }
    assert str(out) in text and "report.html" in text and "baseline" in text
    assert ad.read_h5ad(out).n_obs == 60
    assert not [p for p in out.parent.iterdir() if p.name.startswith(".")]
    roles = json.loads((folder / "metrics.json").read_text())["data"]
    assert {"reference", "query"} <= set(roles)


def test_everything_that_a_run_leaves_names_it(annotated):
    out, _ = annotated
    folder = out.with_suffix(".scm")
    run = read_record(folder)
    assert run.state == "finished" and run.scores["annotation"]["model.accuracy"] >= 0
    assert run.data["query.raw_cells"].sha256 == sha256_of(out.with_name("query.h5ad"))
    assert json.loads((folder / "metrics.json").read_text())["run"]["run_id"] == run.run_id
    assert ad.read_h5ad(out).uns["scm"]["run_id"] == run.run_id
    assert f"run {run.run_id}" in (folder / "report.html").read_text()
    assert f"run: {run.run_id}" in (folder / "checkpoint" / "MODEL_CARD.md").read_text()


@pytest.mark.slow
def test_predicting_again_with_the_checkpoint_gives_equal_results(annotated, files, monkeypatch):
    out, _ = annotated
    again = files / "again.h5ad"
    monkeypatch.chdir(files)
    entered("annotate", "query.h5ad", "-c", "out.scm/checkpoint", "-o", "again.h5ad")
    first, second = ad.read_h5ad(out), ad.read_h5ad(again)
    assert list(first.obs["scm_cell_type"]) == list(second.obs["scm_cell_type"])
    for key in ("X_scm", "scm_cell_type_probability"):
        assert np.array_equal(np.asarray(first.obsm[key]), np.asarray(second.obsm[key])), key
    scores = [
        json.loads((files / name / "metrics.json").read_text())["model"]
        for name in ("out.scm", "again.scm")
    ]
    assert scores[0] == scores[1] and "accuracy" in scores[0]


@pytest.mark.slow
def test_a_network_is_one_more_expert_in_outputs_report_and_folder(files):
    out, again = files / "joined.h5ad", files / "joined_again.h5ad"
    folder = out.with_suffix(".scm")
    words = ("-r", files / "reference.h5ad", "-k", "cell_type", "-o", out, "--fit", "gradient")
    params = f"{QUICK[1]},annotation.ablations.names=[readout_alone]"
    entered("annotate", files / "query.h5ad", *words, "--params", params)
    entered("annotate", files / "query.h5ad", "-c", folder / "checkpoint", "-o", again)
    first, second = (ad.read_h5ad(path) for path in (out, again))
    for key in ("scm_cell_type_probability", "X_scm"):
        assert np.array_equal(first.obsm[key], second.obsm[key]), key
    assert first.obsm["scm_cell_type_experts"].equals(second.obsm["scm_cell_type_experts"])
    metrics = json.loads((folder / "metrics.json").read_text())
    weight = first.uns["scm"]["expert_weights"]["fine_tuned"]
    assert metrics["experts"]["fine_tuned"]["weight"] == pytest.approx(weight)
    assert set(metrics["ablations"]) == {"readout_alone", "without_fine_tuned"}
    page = (folder / "report.html").read_text("utf-8")
    assert "fine_tuned" in page and "its validation cells" in page
    assert list((folder / "figures").glob("*_training.png"))


@pytest.mark.slow
def test_a_query_without_labels_is_annotated_and_not_scored(annotated, files):
    out, _ = annotated
    query = ad.read_h5ad(files / "query.h5ad")
    del query.obs["cell_type"]
    query.write_h5ad(files / "unlabelled.h5ad")
    target = files / "unlabelled_out.h5ad"
    checkpoint = out.with_suffix(".scm") / "checkpoint"
    entered("annotate", files / "unlabelled.h5ad", "-c", checkpoint, "-o", target)
    metrics = json.loads((target.with_suffix(".scm") / "metrics.json").read_text())
    assert set(metrics["model"]) == {"unassigned_share", "parent_share", "several_share"}


def test_validate_tells_what_would_be_read(files):
    text = entered("validate", files / "query.h5ad", "--label-key", "cell_type").output
    assert "X (counts)" in text and "200 of 200 known" in text and "alpha" in text
    report = json.loads(entered("validate", files / "query.h5ad", "--json").stdout)
    assert report["valid"] and report["genes"]["kept"] == 200


def test_doctor_names_the_scan_path():
    text = entered("doctor").output
    assert "scan path:" in text and "torch:" in text


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("pretraining")


def pretrained(places: Path, *words: str) -> tuple[str, bytes]:
    """What is said of a pretraining in the project, and its weights."""
    run = places / words[0]
    params = f"pretraining.corpus.store={places / 'store'},pretraining.launch.run={run}"
    text = entered(*words, "--env", "test", "--params", params).output
    assert "loss" in text
    return text, (run / "model" / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def by_verb(places) -> tuple[str, bytes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(Path(__file__).parents[2])
        return pretrained(places, "pretrain")


@pytest.mark.slow
def test_pretraining_by_its_verb(by_verb):
    text, _ = by_verb
    assert "metrics.json" in text and "corpus_report: " in text
    assert re.search(r"model: +\S*pretrain/model", text)


@pytest.mark.slow
def test_pretraining_as_a_pipeline_gives_the_same_weights(by_verb, places, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    assert pretrained(places, "run", "--pipeline", "pretraining")[1] == by_verb[1]
