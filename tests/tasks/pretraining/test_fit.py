"""What a training says in the end, and how its processes are started: with time to end their step."""

import json
import os
import sys

import pytest
from tests.training.corpora import small_job, write_store

from sc_mamba2.errors import UserError
from sc_mamba2.tasks.pretraining import fit
from sc_mamba2.tasks.pretraining.params import CorpusParams, LaunchParams


def pretrained(folder, objective, held_out):
    """Pretrain as the pipeline does: metrics as JSON gives them back, and the journal's last judgement."""
    store = write_store(folder / "store", objective)
    job = small_job(store, folder / "run", steps=4, held_out={"values": held_out})
    named = {name: getattr(job, name) for name in type(job).model_fields}
    corpus, launch = (
        CorpusParams(store=str(named.pop("store"))),
        LaunchParams(run=str(named.pop("run"))),
    )
    report = {"store": {"cells": 96}}
    metrics, history = fit.pretrain(report, corpus, launch, **named, run_info={"run_id": "one"})
    judged = history.filter(like="held_out/").dropna(how="all")
    return json.loads(json.dumps(metrics)), judged.iloc[-1] if len(judged) else None


def test_molecules_left_out_are_told_beside_the_gene_means_and_by_study(tmp_path):
    metrics, last = pretrained(tmp_path, "molecules", ("d", "b"))
    kinds = ("plain", "posterior", "own_plain", "own_posterior")
    assert metrics["model"].pop("loss") > 0
    assert metrics["model"] == {kind: last[f"held_out/{kind}"] for kind in kinds}
    means = {f"own_{kind}": last[f"held_out/means_{kind}"] for kind in ("plain", "posterior")}
    assert metrics["baselines"] == {"gene_means": means}
    assert metrics["data"]["held_out"] == ["d", "b"] and metrics["run"] == {"run_id": "one"}
    for study in ("d", "b"):
        assert metrics["data"]["studies"][study] == {
            kind: last[f"held_out/{kind}/{study}"] for kind in ("own_posterior", "means_posterior")
        }
    assert len({*metrics["model"].values(), *means.values()}) == 6


def test_masked_bins_are_told_beside_the_gene_mean(tmp_path):
    metrics, last = pretrained(tmp_path, "bins", ("d",))
    assert metrics["model"].pop("loss") > 0
    names = {"held_out_loss": "loss", "masked_error": "model", "masked_error_from_cell": "cell"}
    assert metrics["model"] == {told: last[f"held_out/{name}"] for told, name in names.items()}
    assert metrics["baselines"] == {"gene_mean": {"masked_error": last["held_out/gene_mean"]}}
    assert "studies" not in metrics["data"]


def test_without_held_out_cells_the_loss_alone_is_told(tmp_path):
    metrics, last = pretrained(tmp_path, "molecules", ())
    assert last is None and metrics["model"].keys() == {"loss"} and metrics["baselines"] == {}


def test_torchrun_gives_the_processes_time_unless_told_otherwise(tmp_path, monkeypatch):
    told = tmp_path / "environment.json"
    script = f"import json, os, pathlib; pathlib.Path({str(told)!r}).write_text(json.dumps(dict(os.environ)))"
    launcher = tmp_path / "python"
    launcher.write_text(
        f"#!{sys.executable}\n{script}\nraise SystemExit(int(os.environ['CODE']))\n"
    )
    launcher.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(launcher))
    monkeypatch.setenv("CODE", "0")
    monkeypatch.delenv("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", raising=False)
    job = small_job(write_store(tmp_path / "store"), tmp_path / "run")
    fit._run_processes(job, 2)
    found = json.loads(told.read_text())
    assert int(found["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"]) > 600
    assert found["PATH"] == os.environ["PATH"]
    monkeypatch.setenv("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "5")
    monkeypatch.setenv("CODE", "1")
    with pytest.raises(UserError, match="processes-failed"):
        fit._run_processes(job, 2)
    assert json.loads(told.read_text())["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] == "5"
