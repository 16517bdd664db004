"""Run DVC as a program, and turn its failures into user errors."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_file


def check_usable(root: Path) -> None:
    """Raise rule `dvc-missing` or `dvc-project` if DVC cannot be used in a project."""
    if importlib.util.find_spec("dvc") is None:
        raise UserError(
            "dvc-missing",
            found="dvc is not installed",
            expected="DVC, which stores versions of data",
            mend="pip install 'dvc>=3.60'; for a cloud remote 'dvc[s3]', 'dvc[gs]' or 'dvc[ssh]'",
        )
    if not (root / ".dvc").is_dir():
        raise UserError(
            "dvc-project",
            found=f"no folder .dvc in '{root}'",
            expected="a project with git and DVC",
            mend="git init && dvc init",
        )


def run(root: Path, *words: str | Path) -> str:
    """Run DVC in a project and return its output; paths must be below the project.

    Rules `dvc-missing`, `dvc-project`, and `dvc-failed` with DVC's own message.
    """
    check_usable(root)
    line = [str(word.relative_to(root)) if isinstance(word, Path) else word for word in words]
    call = [sys.executable, "-m", "dvc", *line]
    env = os.environ | {"DVC_NO_ANALYTICS": "1"}
    ended = subprocess.run(call, cwd=root, env=env, capture_output=True, text=True, check=False)
    if ended.returncode:
        errors = [line for line in ended.stderr.splitlines() if line.startswith("ERROR")]
        raise UserError(
            "dvc-failed",
            found=" ".join(errors or ended.stderr.splitlines()[-1:]).removeprefix("ERROR: "),
            expected=f"`dvc {' '.join(line)}` to succeed",
            mend=f"run it in '{root}' with -v for details",
        )
    return ended.stdout


def pointer_of(path: Path) -> Path:
    """Return the path of the pointer to a file or folder."""
    return path.with_name(path.name + ".dvc")


def track(root: Path, paths: list[Path], facts: dict[str, str] | None = None) -> list[Path]:
    """Put files or folders under DVC, and return their pointers, which belong in git.

    `facts` (source, licence) are written into every pointer as ``meta``.
    """
    run(root, "add", "--quiet", *paths)
    pointers = [pointer_of(path) for path in paths]
    for pointer in pointers if facts else []:
        content = yaml.safe_load(pointer.read_text(encoding="utf-8")) | {"meta": facts}
        with atomic_file(pointer) as draft, draft.open("w", encoding="utf-8") as file:
            yaml.safe_dump(content, file, sort_keys=False, allow_unicode=True)
    return pointers


def fetch(root: Path, pointers: list[Path], remote: str | None = None, *options: str) -> None:
    """Pull the data of pointers from a remote, or from this machine's cache.

    Rule `dvc-pointer`: no pointer is given; rules of `chosen_remote` and `ask`.
    """
    if not pointers:
        raise UserError(
            "dvc-pointer",
            found="no DVC pointer",
            expected="a .dvc file from git",
            mend="git pull, or ask who added the data to commit it",
        )
    run(root, "pull", *options, "--quiet", "--remote", chosen_remote(root, remote), *pointers)


def chosen_remote(root: Path, remote: str | None) -> str:
    """Return the remote of that name, or the default one (raises rule `dvc-remote`)."""
    lines = run(root, "config", "--list").splitlines()
    settings = dict(line.split("=", 1) for line in lines if "=" in line)
    known = [key.split(".", 1)[1].rsplit(".", 1)[0] for key in settings if key.endswith(".url")]
    chosen = remote or settings.get("core.remote")
    if not chosen or chosen not in known:
        raise UserError(
            "dvc-remote",
            found=f"no remote '{chosen}'" if chosen else "no default remote",
            expected=f"one of {', '.join(known)}" if known else "a remote for the versions",
            mend="dvc remote add -d NAME FOLDER, or a URL of S3, GCS or SSH (docs/data.md)",
        )
    return chosen


def stage_outputs(root: Path) -> dict[Path, str]:
    """Return the outputs of the stages of ``dvc.yaml``, with the name of the stage."""
    path = root / "dvc.yaml"
    text = path.read_text(encoding="utf-8") if path.is_file() else "{}"
    stages: dict[str, Any] = yaml.safe_load(text).get("stages", {})
    outs = [(out, name) for name, stage in stages.items() for out in stage.get("outs", [])]
    return {root / (out if isinstance(out, str) else next(iter(out))): name for out, name in outs}
