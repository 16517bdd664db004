"""Tokenised cells as a folder."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from sc_mamba2.tokens import TokenizedCells, load_tokens, save_tokens


class TokensDataset(AbstractDataset[TokenizedCells, TokenizedCells]):
    """Loads and saves tokens (see `sc_mamba2.tokens.saving`).

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

    def load(self) -> TokenizedCells:
        """Read the folder."""
        return load_tokens(self._filepath)

    def save(self, data: TokenizedCells) -> None:
        """Write the folder; it appears whole or not at all."""
        save_tokens(data, self._filepath)

    def _exists(self) -> bool:
        return (self._filepath / "tokens.safetensors").exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
