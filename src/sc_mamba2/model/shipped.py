"""Checkpoints that come with the package, by name."""

from importlib.resources import files
from pathlib import Path

_ROOM = "checkpoints"


def shipped_checkpoints() -> list[str]:
    """Name the checkpoints that come with the package."""
    room = Path(str(files("sc_mamba2"))) / _ROOM
    return sorted(folder.name for folder in room.iterdir()) if room.is_dir() else []


def checkpoint_folder(name: str | Path) -> Path:
    """Find a checkpoint by the name it is shipped under, or by its path.

    A name of `shipped_checkpoints` is one wherever it is said; a folder of one's own that is called
    so needs a slash, such as ``./scm-tiny``.
    """
    if isinstance(name, str) and name in shipped_checkpoints():
        return Path(str(files("sc_mamba2"))) / _ROOM / name
    return Path(name)
