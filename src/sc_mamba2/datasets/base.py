"""What the dataset classes of this project share: a location on disk, and one read per run."""

from pathlib import Path, PurePath
from typing import Any, ClassVar

from kedro.io import AbstractDataset

from sc_mamba2.errors import UserError
from sc_mamba2.files import restored


class Located:
    """A dataset in a file or a folder."""

    _filepath: PurePath | None  # read by Kedro-Viz

    @property
    def filepath(self) -> Path | None:
        """The file or folder, ``None`` if none was named."""
        return None if self._filepath is None else Path(self._filepath)


class FileDataset(Located, AbstractDataset[Any, Any]):
    """A dataset that is one file or one folder, written atomically; without a path, loading is refused."""

    inside: ClassVar[str] = ""  # file that must exist in the folder
    unnamed: ClassVar[dict[str, str]] = {}  # the `UserError` if no path was given

    def __init__(self, filepath: str | None, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = None if filepath is None else Path(filepath)
        self.metadata = metadata

    @property
    def _path(self) -> Path:
        if self.filepath is None:
            raise UserError(**self.unnamed)
        return self.filepath

    def _exists(self) -> bool:
        return self.filepath is not None and (restored(self.filepath) / self.inside).exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}


class Kept:
    """Keep what was loaded or saved until the runner releases it; nodes must not change it.

    List before the dataset class, which implements `_read` and `_write`.
    """

    _held: Any = None

    def load(self) -> Any:
        """Return what was loaded or saved before, or else read it."""
        if self._held is None:
            self._held = self._read()
        return self._held

    def save(self, data: Any) -> None:
        """Write `data`."""
        self._write(data)
        self._held = data

    def _release(self) -> None:
        self._held = None

    def _read(self) -> Any:
        raise NotImplementedError

    def _write(self, data: Any) -> None:
        raise NotImplementedError
