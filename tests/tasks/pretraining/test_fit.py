"""How the processes of a training are started: with time to end their step."""

import json
import os
import sys

import pytest
from tests.training.corpora import small_job

from sc_mamba2.errors import UserError
from sc_mamba2.tasks.pretraining import fit


def test_torchrun_gives_the_processes_time_unless_told_otherwise(tmp_path, monkeypatch):
    told = tmp_path / "environment.json"
    script = f"import json, os, pathlib; pathlib.Path({str(told)!r}).write_text(json.dumps(dict(os.environ)))"
    launcher = tmp_path / "python"
    launcher.write_text(
        f"#!{sys.executable}\n{script}\nraise SystemExit(int(os.environ['CODE']))\n"
    )
    launcher.chmod(0o755)
    monkeypatch.setattr(fit.sys, "executable", str(launcher))
    monkeypatch.setenv("CODE", "0")
    monkeypatch.delenv("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", raising=False)
    job = small_job(tmp_path / "store", tmp_path / "run")
    fit._run_processes(job, 2)
    found = json.loads(told.read_text())
    assert int(found["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"]) > 600
    assert found["PATH"] == os.environ["PATH"]
    monkeypatch.setenv("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "5")
    monkeypatch.setenv("CODE", "1")
    with pytest.raises(UserError, match="processes-failed"):
        fit._run_processes(job, 2)
    assert json.loads(told.read_text())["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] == "5"
