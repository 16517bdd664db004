"""DVC as a program: what is asked of it, and its refusals as errors for a person."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_file


def why_not(root: Path) -> UserError | None:
    """Say why DVC cannot be used in a project, or ``None`` where it can."""
    if importlib.util.find_spec("dvc") is None:
        return UserError(
            "dvc-missing",
            found="dvc is not installed",
            expected="DVC, which keeps the versions of data",
            mend="pip install 'dvc>=3.60'; for a remote in a cloud 'dvc[s3]', 'dvc[gs]' or 'dvc[ssh]'",
        )
    if not (root / ".dvc").is_dir():
        return UserError(
            "dvc-project",
            found=f"no folder .dvc in '{root}'",
            expected="a project under git and DVC",
            mend="git init && dvc init",
        )
    return None


def ask(root: Path, *words: str) -> str:
    """Run DVC in a project and return what it printed.

    Raises
    ------
    UserError
        Rules `dvc-missing`, `dvc-project`, and `dvc-failed` with DVC's own words.
    """
    if (reason := why_not(root)) is not None:
        raise reason
    ended = _run(root, *words)
    if ended.returncode:
        said = [line for line in ended.stderr.splitlines() if line.startswith("ERROR")]
        raise UserError(
            "dvc-failed",
            found=" ".join(said or ended.stderr.splitlines()[-1:]).removeprefix("ERROR: "),
            expected=f"a good end of `dvc {' '.join(words)}`",
            mend=f"run it in '{root}' with -v, and see what it says",
        )
    return ended.stdout


def track(root: Path, paths: list[Path], facts: dict[str, str] | None = None) -> list[Path]:
    """Put files or folders under DVC, and return their pointers, which belong into git.

    Parameters
    ----------
    root
        The project.
    paths
        What to track, each by a pointer of its own.
    facts
        Written into every pointer as ``meta``: where it came from, its licence.
    """
    ask(root, "add", "--quiet", *(str(path.relative_to(root)) for path in paths))
    pointers = [pointer_of(path) for path in paths]
    for pointer in pointers if facts else []:
        content = yaml.safe_load(pointer.read_text(encoding="utf-8")) | {"meta": facts}
        with atomic_file(pointer) as draft:
            text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
            draft.write_text(text, encoding="utf-8")
    return pointers


def point(root: Path, address: str, path: Path) -> Path:
    """Write an import pointer for an address, and download nothing."""
    ask(root, "import-url", "--quiet", "--no-exec", address, str(path.relative_to(root)))
    return pointer_of(path)


def send(root: Path, pointers: list[Path], remote: str | None = None) -> None:
    """Copy what the pointers name to a remote."""
    _transfer(root, ["push"], pointers, remote)


def fetch(
    root: Path, pointers: list[Path], remote: str | None = None, *, over_changes: bool = False
) -> None:
    """Bring what the pointers name from a remote, or from this machine's cache.

    `over_changes` replaces files that were changed here.

    Raises
    ------
    UserError
        Rule `dvc-pointer`: there is none. DVC or its remote is missing, or DVC refused.
    """
    if not pointers:
        raise UserError(
            "dvc-pointer",
            found="no pointer of DVC",
            expected="a .dvc file from git",
            mend="git pull, or ask who added the data to commit it",
        )
    _transfer(root, ["pull", *(["--force"] if over_changes else [])], pointers, remote)


def pointer_of(path: Path) -> Path:
    """Return where the pointer to a file or folder lies."""
    return path.with_name(path.name + ".dvc")


def check_remote(root: Path, remote: str | None) -> None:
    """Refuse where there is nothing to send to or to bring from.

    Raises
    ------
    UserError
        Rules `dvc-missing`, `dvc-project`, `dvc-remote`.
    """
    lines = ask(root, "config", "--list").splitlines()
    settings = dict(line.split("=", 1) for line in lines if "=" in line)
    known = [key.split(".", 1)[1].rsplit(".", 1)[0] for key in settings if key.endswith(".url")]
    chosen = remote or settings.get("core.remote")
    if not chosen or chosen not in known:
        raise UserError(
            "dvc-remote",
            found=f"no remote '{chosen}'" if chosen else "no default remote",
            expected=f"one of {', '.join(known)}" if known else "a place for the versions",
            mend="dvc remote add -d NAME FOLDER, or an address of S3, GCS or SSH (docs/data.md)",
        )


def stage_outputs(root: Path) -> dict[Path, str]:
    """Return what the stages of ``dvc.yaml`` write, with the name of the stage."""
    path = root / "dvc.yaml"
    if not path.is_file():
        return {}
    stages: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")).get("stages", {})
    return {
        root / (out if isinstance(out, str) else next(iter(out))): name
        for name, stage in stages.items()
        for out in stage.get("outs", [])
    }


def _transfer(root: Path, verb: list[str], pointers: list[Path], remote: str | None) -> None:
    check_remote(root, remote)
    chosen = ["--remote", remote] if remote else []
    ask(root, *verb, "--quiet", *chosen, *(str(one.relative_to(root)) for one in pointers))


def _run(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dvc", *words],
        cwd=root,
        env=os.environ | {"DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
