"""Find a checkpoint: shipped with the package, in a folder, at a URL, in the Hub's cache. Without torch."""

from importlib.resources import files
from pathlib import Path

from sc_mamba2.errors import UserError, nearest
from sc_mamba2.files import restored
from sc_mamba2.model.hub_cache import cached_folder, hub_name
from sc_mamba2.model.manifest import MANIFEST, broken_checkpoint
from sc_mamba2.remote import local_copy

CONFIG, VOCABULARY, TENSORS = "config.json", "vocabulary.json", "model.safetensors"
CARD = "MODEL_CARD.md"
LISTED = (CONFIG, VOCABULARY, TENSORS, CARD)


def shipped_checkpoints() -> list[str]:
    """List the checkpoints shipped with the package."""
    room = Path(str(files("sc_mamba2"))) / "checkpoints"
    return sorted(folder.name for folder in room.iterdir()) if room.is_dir() else []


def checkpoint_folder(name: str | Path) -> Path:
    """Find a checkpoint by its shipped name, its path, its URL, or its name on the Hub.

    A name of `shipped_checkpoints` always means the shipped one; a local folder of that name needs a
    slash, such as ``./scm-tiny``. A folder ``owner/name`` takes precedence over a model of the Hub, which is
    looked up in the local cache only, never on the network. A URL is downloaded.
    """
    if isinstance(name, str) and name in shipped_checkpoints():
        return Path(str(files("sc_mamba2"))) / "checkpoints" / name
    if isinstance(name, str) and not Path(name).exists():
        return cached_folder(name) or Path(local_copy(name))
    return Path(local_copy(name))


def check_folder(name: str | Path, known: tuple[str, ...] = ()) -> Path:
    """Return the folder of a checkpoint, given as to `checkpoint_folder`; `known` adds names to suggest.

    Raises
    ------
    UserError
        Rules `checkpoint-folder` (no folder, with the closest name) and `checkpoint-file` (a missing file).
    """
    folder = restored(checkpoint_folder(name))
    if not folder.is_dir():
        shipped, parent = [*known, *shipped_checkpoints()], folder.parent
        near = [other.name for other in parent.glob("*") if (other / MANIFEST).is_file()]
        on_hub = hub_name(str(name)) is not None
        raise UserError(
            "checkpoint-folder",
            found=f"no folder at {folder}" + on_hub * ", nor that model in the Hub's cache",
            expected="a checkpoint folder, or a model included in the package: "
            + ", ".join(shipped),
            mend=f"give the path of a folder with {MANIFEST}"
            + on_hub * f"; to download a model of the Hub: scm model pull {name}"
            + (nearest(str(name), shipped) or nearest(folder.name, near)),
        )
    for file in (*LISTED, MANIFEST):
        if not (folder / file).is_file():
            found = f"no {file} in {folder}"
            raise broken_checkpoint("checkpoint-file", found, "all files of a checkpoint")
    return folder
