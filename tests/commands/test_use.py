"""How the command answers: help without heavy imports, wrong use in one message."""

import subprocess
import sys

import pytest
import torch
from tests.cli import entered, invoke, refused


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from typer.testing import CliRunner; from sc_mamba2.commands import app; "
        "result = CliRunner().invoke(app, ['--help']); assert result.exit_code == 0; "
        "heavy = {'torch', 'scanpy', 'kedro', 'anndata', 'pandas', 'numpy'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["annotat"], "annotate"),
        (["run", "--pipelin", "x"], "--pipeline"),
        (["annotate", "q.h5ad"], "--output"),
        (["validate"], "FILE"),
    ],
)
def test_wrong_use_is_code_2_and_suggests(words, says):
    result = invoke(*words)
    assert result.exit_code == 2 and says in result.output and "Traceback" not in result.output


@pytest.mark.skipif(torch.cuda.is_available(), reason="there may be kernels here")
@pytest.mark.parametrize("verb", ["annotate q.h5ad -o out.h5ad -c c", "run"])
def test_kernels_that_are_required_and_missing_stop_it_first(verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = refused(*verb.split(), "--require-kernels", rule="scan-kernels", folder=tmp_path)
    assert "not a CUDA GPU" in text


def test_a_path_and_required_kernels_contradict_each_other():
    result = invoke("run", "--require-kernels", "--scan-path", "reference")
    assert result.exit_code == 2 and "--require-kernels" in result.output


def test_an_unknown_path_is_refused():
    result = invoke("run", "--scan-path", "fast", "--env", "test")
    assert result.exit_code == 2 and "scan" in result.output


def test_version():
    assert entered("--version").output.strip() == "0.1.0"


def test_the_installed_command_is_a_real_process():
    result = subprocess.run(
        [sys.executable, "-m", "sc_mamba2", "validate", "nope.h5ad"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2 and "file-missing" in result.stderr
    assert "Traceback" not in result.stderr
