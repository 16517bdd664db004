"""An index of labelled, embedded cells as a folder."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset
from kedro_datasets._typing import JSONPreview

from sc_mamba2.datasets.previews import json_file
from sc_mamba2.errors import UserError
from sc_mamba2.tasks.embedding.index import FACTS, ReferenceIndex


class IndexDataset(AbstractDataset[ReferenceIndex, ReferenceIndex]):
    """Loads and saves an index of reference cells.

    Example
    -------
    .. code-block:: yaml

        embedding.index:
          type: sc_mamba2.datasets.IndexDataset
          filepath: data/06_models/embedding/index

    Parameters
    ----------
    filepath
        The folder. ``None`` is refused on load.
    metadata
        For Kedro-Viz.
    """

    def __init__(self, filepath: str | None, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = None if filepath is None else Path(filepath)
        self.metadata = metadata

    def load(self) -> ReferenceIndex:
        """Read the folder."""
        if self._filepath is None:
            raise UserError(
                "index-folder",
                found="no index was named",
                expected="a folder that scm index wrote",
                mend="pass it: --params index=FOLDER",
            )
        return ReferenceIndex.load(self._filepath)

    def save(self, data: ReferenceIndex) -> None:
        """Write the folder."""
        assert self._filepath is not None, "an index is written to a named folder"
        data.save(self._filepath)

    def preview(self) -> JSONPreview:
        """Show the facts of the index."""
        assert self._filepath is not None
        return json_file(self._filepath / FACTS)

    def _exists(self) -> bool:
        return self._filepath is not None and (self._filepath / FACTS).is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
