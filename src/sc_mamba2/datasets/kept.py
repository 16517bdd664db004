"""Datasets that are read from disk once a run."""

from typing import Any


class Kept:
    """Keeps what was loaded or saved until the runner releases it; nodes must not change it.

    Put before the dataset class, which reads by `_read` and writes by `_write`.
    """

    _held: Any = None

    def load(self) -> Any:
        """Return what was loaded or saved before, or read it."""
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
