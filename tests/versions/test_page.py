"""What docs/data.md shows of a local remote is run as it stands there."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sc_mamba2.commands import app
from sc_mamba2.model import checkpoint_folder

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_page_takes_data_and_a_checkpoint_from_one_clone_to_another(
    empty_project, cells_file, tmp_path, monkeypatch
):
    root = shutil.copytree(empty_project, tmp_path / "project")
    for name in ("pyproject.toml", ".gitignore"):
        shutil.copy(ROOT / name, root)
    (root / "src").mkdir()
    (root / "src" / "here").touch()
    shutil.copy(cells_file, tmp_path / "cells.h5ad")
    shutil.copytree(checkpoint_folder("scm-tiny"), tmp_path / "checkpoint")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "a")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "a@b")
    page = (ROOT / "docs" / "data.md").read_text("utf-8")
    block = page.split("<!-- run by tests/versions/test_page.py -->")[1].split("<!-- end -->")[0]
    script = block.strip().removeprefix("```sh").removesuffix("```").strip()
    said = "".join(_run(line, monkeypatch) for line in script.splitlines())
    assert "mine_v1: as recorded" in said and "from DVC's remote" in said
    assert (tmp_path / "storage").is_dir()
    there = tmp_path / "colleague" / "data"
    assert (there / "01_raw/mine_v1/cells.h5ad").read_bytes() == cells_file.read_bytes()
    for path in checkpoint_folder("scm-tiny").iterdir():
        assert (there / "06_models/pbmc-v1" / path.name).read_bytes() == path.read_bytes()
    kept = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True).stdout
    assert "data/manifest.json" in kept and "mine_v1/cells.h5ad.dvc" in kept
    assert "cells.h5ad\n" not in kept and "safetensors" not in kept


def _run(line, monkeypatch):
    """Run a line of the page: `scm` in this process, since its imports take seconds each time."""
    program, *words = shlex.split(line)
    if program == "cd":
        monkeypatch.chdir(words[0])
        return ""
    if program == "scm":
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, line + result.output
        return result.output
    dvc = (
        line.replace("dvc ", f"{shlex.quote(sys.executable)} -m dvc ") if program == "dvc" else line
    )
    ended = subprocess.run(dvc, shell=True, capture_output=True, text=True)
    assert ended.returncode == 0, line + ended.stdout + ended.stderr
    return ended.stdout
