"""Tokenised cells as a folder."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from sc_mamba2.datasets.kept import Kept
from sc_mamba2.tokens import TokenizedCells, load_tokens, save_tokens


class TokensDataset(Kept, AbstractDataset[TokenizedCells, TokenizedCells]):
    """Loads and saves tokens (see `sc_mamba2.tokens.tokenized`).

    Example
    -------
    .. code-block:: yaml

        reference.tokens:
          type: sc_mamba2.datasets.TokensDataset
          filepath: data/05_model_input/reference/tokens

    Parameters
    ----------
    filepath
        The folder.
    metadata
        For Kedro-Viz.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def _read(self) -> TokenizedCells:
        return load_tokens(self._filepath)

    def _write(self, data: TokenizedCells) -> None:
        save_tokens(data, self._filepath)

    def _exists(self) -> bool:
        return (self._filepath / "tokens.safetensors").exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
