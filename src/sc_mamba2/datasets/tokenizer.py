"""A tokenizer as one JSON file: its rules and its vocabulary."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from sc_mamba2.files import atomic_file
from sc_mamba2.tokens import Tokenizer


class TokenizerDataset(AbstractDataset[Tokenizer, Tokenizer]):
    """Loads and saves a tokenizer.

    Example
    -------
    .. code-block:: yaml

        annotation.tokenizer:
          type: sc_mamba2.datasets.TokenizerDataset
          filepath: data/04_feature/annotation/tokenizer.json

    Parameters
    ----------
    filepath
        A JSON file.
    metadata
        For Kedro-Viz.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> Tokenizer:
        """Read the file."""
        return Tokenizer.from_json(self._filepath.read_text(encoding="utf-8"))

    def save(self, data: Tokenizer) -> None:
        """Write the file; it appears whole or not at all."""
        with atomic_file(self._filepath) as draft:
            draft.write_text(data.to_json(), encoding="utf-8")

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
