"""Checkpoints by name: shipped, of the project, of the Hub's cache, public; push and pull."""

import shutil
from pathlib import Path
from typing import Any

from sc_mamba2.errors import UserError, nearest
from sc_mamba2.model.folder import CARD, CONFIG, TENSORS, checkpoint_folder, shipped_checkpoints
from sc_mamba2.model.hub_cache import cached_checkpoints
from sc_mamba2.model.manifest import MANIFEST, compare_hashes, read_json, read_manifest
from sc_mamba2.versions import dvc
from sc_mamba2.versions.data import copy_whole
from sc_mamba2.versions.names import check_name
from sc_mamba2.versions.registry import registry

MODELS = Path("data/06_models")


def list_checkpoints(root: Path) -> list[dict[str, Any]]:
    """List all checkpoints: shipped, of the project (with their DVC state), cached, and public."""
    rows = [
        {"name": name, "state": "shipped", **_card(checkpoint_folder(name))}
        for name in shipped_checkpoints()
    ]
    folders = {path.parent for path in (root / MODELS).rglob(CONFIG)}
    pointers = {path.with_suffix("") for path in (root / MODELS).glob("*.dvc")}
    for folder in sorted(folders | pointers):
        state, facts = "absent", {"title": "its pointer is here"}
        if folder in folders:
            state, facts = "versioned" if folder in pointers else "here", _card(folder)
        rows.append({"name": folder.relative_to(root / MODELS).as_posix(), "state": state, **facts})
    for name, folder in cached_checkpoints().items():
        rows.append({"name": name, "state": "cached", **_card(folder)})
    public = registry().checkpoints.items()
    return rows + [{"name": name, "state": "public", **row} for name, row in public]


def push(
    root: Path, folder: Path, *, name: str | None = None, remote: str | None = None
) -> tuple[Path, bool]:
    """Put a checkpoint folder under DVC and push it to a remote.

    A folder not directly in ``data/06_models`` is copied there, under `name` or its own name. Returns the
    pointer, which belongs in git, and whether a copy was made. Nothing is left if the checkpoint is
    damaged, a stage of ``dvc.yaml`` writes to that name, the name is taken, or DVC or its remote is
    missing.
    """
    _check_whole(folder)
    target = root / MODELS / (name or folder.name)
    check_name(target.name)
    if (stage := dvc.stage_outputs(root).get(target)) is not None:
        raise UserError(
            "model-of-stage",
            found=f"'{MODELS / target.name}' is what the stage '{stage}' of dvc.yaml writes",
            expected="a name that no run overwrites",
            mend="give the version its own name: --name NAME",
        )
    remote = dvc.chosen_remote(root, remote)
    copied = folder.resolve() != target.resolve()
    if copied and target.exists():
        raise UserError(
            "checkpoint-exists",
            found=f"'{MODELS / target.name}' already exists",
            expected="a new name",
            mend="choose another --name",
        )
    try:
        if copied:
            copy_whole(folder, target)
        pointers = dvc.track(root, [target])
    except BaseException:
        if copied:
            shutil.rmtree(target, ignore_errors=True)
        raise
    dvc.run(root, "push", "--quiet", "--remote", remote, *pointers)
    return pointers[0], copied


def pull(root: Path, name: str, *, remote: str | None = None) -> Path:
    """Pull a checkpoint by its pointer from a remote, and check all its hashes.

    Raises rule `model-unknown`, `model-by-hand` for a public one, rules for a missing DVC or remote, and
    `checkpoint-sha256` if it is not the checkpoint that was pushed.
    """
    folder = root / MODELS / name
    pointer = dvc.pointer_of(folder)
    if not pointer.is_file():
        raise _no_pointer(root, name)
    dvc.fetch(root, [pointer], remote)
    _check_whole(folder)
    return folder


def _no_pointer(root: Path, name: str) -> UserError:
    if (public := registry().checkpoints.get(name)) is not None:
        return UserError(
            "model-by-hand",
            found=f"'{name}' is at {public['address']} ({public['licence']})",
            expected="its files, downloaded by hand",
            mend=public["how"],
        )
    if name in shipped_checkpoints():
        return UserError(
            "model-unknown",
            found=f"'{name}' is included in the package",
            expected="a checkpoint with a pointer in data/06_models",
            mend=f"use it directly: --checkpoint {name}",
        )
    names = sorted(path.stem for path in (root / MODELS).glob("*.dvc"))
    return UserError(
        "model-unknown",
        found=f"no pointer '{MODELS / name}.dvc'",
        expected=f"one of {', '.join(names)}" if names else "a pointer from git",
        mend="get pointers with git pull, or make them with `scm model push`"
        + nearest(name, names),
    )


def _card(folder: Path) -> dict[str, Any]:
    """Return the task and the first facts of a checkpoint's card, without reading tensors."""
    facts: dict[str, Any] = {"folder": str(folder), "task": read_json(folder / CONFIG).get("task")}
    card = folder / CARD
    head, *_ = (card.read_text(encoding="utf-8") if card.is_file() else "").split("\n## ")
    for line in head.splitlines():
        if line.startswith("# "):
            facts["title"] = line.removeprefix("# ")
        elif line.startswith("- ") and ": " in line:
            key, _, value = line.removeprefix("- ").partition(": ")
            facts[key.replace(" ", "_")] = value
    return facts


def _check_whole(folder: Path) -> None:
    if not (folder / MANIFEST).is_file():
        raise UserError(
            "checkpoint-folder",
            found=f"no checkpoint in '{folder}'",
            expected="a folder written by a run, with its manifest.json",
            mend="give the folder; `scm model list` shows those of this project",
        )
    compare_hashes(folder, read_manifest(folder), (CONFIG, TENSORS))
