"""Where a checkpoint stands: those that ship with the package, a folder, an address, the Hub's cache. No torch."""

from importlib.resources import files
from pathlib import Path

from sc_mamba2.errors import UserError, nearest
from sc_mamba2.files import standing
from sc_mamba2.model.hub_cache import cached_folder, hub_name
from sc_mamba2.model.manifest import MANIFEST, broken_checkpoint
from sc_mamba2.remote import local_copy

CONFIG, VOCABULARY, TENSORS = "config.json", "vocabulary.json", "model.safetensors"
CARD = "MODEL_CARD.md"
LISTED = (CONFIG, VOCABULARY, TENSORS, CARD)


def shipped_checkpoints() -> list[str]:
    """Name the checkpoints that come with the package."""
    room = Path(str(files("sc_mamba2"))) / "checkpoints"
    return sorted(folder.name for folder in room.iterdir()) if room.is_dir() else []


def checkpoint_folder(name: str | Path) -> Path:
    """Find a checkpoint by the name it is shipped under, by its path, or by its name on the Hub.

    A name of `shipped_checkpoints` is one wherever it is said; a folder of one's own that is called
    so needs a slash, such as ``./scm-tiny``. A folder called ``owner/name`` is meant before a model
    of the Hub, of which the cache on this disk is looked at, never the network. An address is fetched.
    """
    if isinstance(name, str) and name in shipped_checkpoints():
        return Path(str(files("sc_mamba2"))) / "checkpoints" / name
    if isinstance(name, str) and not Path(name).exists():
        return cached_folder(name) or Path(local_copy(name))
    return Path(local_copy(name))


def check_folder(name: str | Path, known: tuple[str, ...] = ()) -> Path:
    """Return the folder of a checkpoint, given as `checkpoint_folder` takes it; `known` are other names.

    Raises
    ------
    UserError
        Rules `checkpoint-folder` (no folder, with the nearest name) and `checkpoint-file` (a file is
        missing).
    """
    folder = standing(checkpoint_folder(name))
    if not folder.is_dir():
        shipped, beside = [*known, *shipped_checkpoints()], folder.parent
        near = [other.name for other in beside.glob("*") if (other / MANIFEST).is_file()]
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
