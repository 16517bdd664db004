"""An index of labelled, embedded cells as a folder: arrays, the cells' table, facts, and a manifest."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kedro.io import AbstractDataset
from kedro_datasets._typing import JSONPreview

from sc_mamba2.datasets.previews import json_file
from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_folder
from sc_mamba2.model.manifest import (
    compare_hashes,
    read_json,
    read_manifest,
    write_json,
    write_manifest,
)

FACTS = "index.json"
_VECTORS, _DISTANCES, _CELLS = "vectors.npy", "own_distances.npy", "cells.parquet"
_FILES = (FACTS, _VECTORS, _DISTANCES, _CELLS)


@dataclass(frozen=True, eq=False)
class ReferenceIndex:
    """Labelled cells in the space of a checkpoint.

    Parameters
    ----------
    vectors
        (N, D) float32.
    labels, names
        (N,) types and names of the cells.
    own_distances
        (M,) float32, rising: mean distances of reference cells to their nearest others.
    facts
        Ready for JSON: ``label_key``, ``neighbours``, and ``space``, the checkpoint and the options
        that another embedding must share.
    """

    vectors: np.ndarray
    labels: np.ndarray
    names: pd.Index
    own_distances: np.ndarray
    facts: dict[str, Any]

    def save(self, folder: Path) -> None:
        """Write the folder; it appears whole or not at all, in the place of an older one."""
        with atomic_folder(folder) as draft:
            np.save(draft / _VECTORS, self.vectors)
            np.save(draft / _DISTANCES, self.own_distances)
            table = pd.DataFrame({"name": self.names.astype(str), "label": self.labels})
            table.to_parquet(draft / _CELLS)
            write_json(draft / FACTS, self.facts)
            write_manifest(draft)

    @classmethod
    def load(cls, folder: Path) -> "ReferenceIndex":
        """Read the folder, every promise of its manifest checked.

        Raises
        ------
        UserError
            Rules ``index-folder`` and ``index-damaged``.
        """
        if not (folder / FACTS).is_file():
            raise UserError(
                "index-folder",
                found=f"no index at '{folder}'",
                expected=f"a folder with {FACTS}",
                mend="make one: scm index REF.h5ad --label-key KEY --output INDEX",
            )
        try:
            compare_hashes(folder, read_manifest(folder), needed=_FILES)
            facts = read_json(folder / FACTS)
        except (UserError, OSError) as error:
            raise UserError(
                "index-damaged",
                found=error.found if isinstance(error, UserError) else str(error),
                expected="files as they were written",
                mend="make the index again: scm index",
            ) from error
        table = pd.read_parquet(folder / _CELLS)
        vectors, own = (np.load(folder / name) for name in (_VECTORS, _DISTANCES))
        return cls(vectors, table["label"].to_numpy(dtype=str), pd.Index(table["name"]), own, facts)


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
