"""Locally cached checkpoints of the Hugging Face Hub: ``owner/name`` or ``owner/name@revision``.

Needs neither the network nor `huggingface_hub`; downloads and uploads are in `hub`.
"""

import os
import re
from pathlib import Path

from sc_mamba2.model.manifest import MANIFEST

_NAME = re.compile(
    r"(?P<repo>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>\w[\w.-]*(?:/\w[\w.-]*)*))?", re.ASCII
)


def hub_name(name: str) -> tuple[str, str] | None:
    """Split ``owner/name@revision``; ``None`` for other names. The revision defaults to ``main``."""
    parts = _NAME.fullmatch(name)
    return (parts["repo"], parts["revision"] or "main") if parts else None


def cached_folder(name: str) -> Path | None:
    """Return the folder of a model in the Hub's local cache, or `None`; never uses the network."""
    if (parts := hub_name(name)) is None:
        return None
    repo, revision = parts
    store = hub_cache() / f"models--{repo.replace('/', '--')}"
    ref = store / "refs" / revision
    commit = ref.read_text("utf-8").strip() if ref.is_file() else revision
    folder = store / "snapshots" / commit
    return folder if folder.is_dir() else None


def cached_checkpoints() -> dict[str, Path]:
    """Return the folders of our checkpoints in the Hub's cache, by name."""
    stores = sorted(hub_cache().glob("models--*--*"))
    names = [path.name.removeprefix("models--").replace("--", "/", 1) for path in stores]
    found = {name: cached_folder(name) for name in names}
    return {name: path for name, path in found.items() if path and (path / MANIFEST).is_file()}


def hub_cache() -> Path:
    """Return the folder of the Hub's cache, located as `huggingface_hub` does."""
    given = os.environ
    home = given.get("HF_HOME") or f"{given.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    place = given.get("HF_HUB_CACHE") or given.get("HUGGINGFACE_HUB_CACHE") or f"{home}/hub"
    return Path(os.path.expandvars(place)).expanduser()
