"""What docs/data.md shows of a local remote is run as it stands there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from sc_mamba2.model import checkpoint_folder

ROOT = Path(__file__).parents[2]


def test_the_page_takes_data_and_a_checkpoint_from_one_clone_to_another(
    empty_project, cells_file, tmp_path
):
    page = (ROOT / "docs" / "data.md").read_text("utf-8")
    block = page.split("<!-- run by tests/versions/test_page.py -->")[1].split("<!-- end -->")[0]
    script = block.strip().removeprefix("```sh").removesuffix("```")
    root = shutil.copytree(empty_project, tmp_path / "project")
    for name in ("pyproject.toml", ".gitignore"):
        shutil.copy(ROOT / name, root)
    (root / "src").mkdir()
    (root / "src" / "here").touch()
    shutil.copy(cells_file, tmp_path / "cells.h5ad")
    shutil.copytree(checkpoint_folder("scm-tiny"), tmp_path / "checkpoint")
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=os.environ | _as_installed(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "mine_v1: as recorded" in ended.stdout
    assert "from DVC's remote" in ended.stdout and (tmp_path / "storage").is_dir()
    there = tmp_path / "colleague" / "data"
    assert (there / "01_raw/mine_v1/cells.h5ad").read_bytes() == cells_file.read_bytes()
    for path in checkpoint_folder("scm-tiny").iterdir():
        assert (there / "06_models/pbmc-v1" / path.name).read_bytes() == path.read_bytes()
    kept = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True).stdout
    assert "data/manifest.json" in kept and "mine_v1/cells.h5ad.dvc" in kept
    assert "cells.h5ad\n" not in kept and "safetensors" not in kept


def _as_installed(folder: Path) -> dict[str, str]:
    """Give an environment in which `scm` and `dvc` are those of this interpreter."""
    programs = folder / "bin"
    programs.mkdir()
    for name, module in (("scm", "sc_mamba2"), ("dvc", "dvc")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        (programs / name).chmod(0o755)
    who = {
        f"GIT_{role}_{what}": "a@b"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "PYTHONPATH": str(ROOT / "src"), "DVC_NO_ANALYTICS": "1", **who}
