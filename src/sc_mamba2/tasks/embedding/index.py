"""An index of labelled, embedded cells, stored as a folder: arrays, cell table, facts, and a manifest."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_folder, restored
from sc_mamba2.model.manifest import (
    compare_hashes,
    read_json,
    read_manifest,
    write_json,
    write_manifest,
)

FACTS = "index.json"
_ARRAYS = {
    "vectors": "vectors.npy",
    "own_distances": "own_distances.npy",
    "squares_V": "squares.npy",
}
_CELLS = "cells.parquet"
_FILES = (FACTS, _CELLS, *_ARRAYS.values())


@dataclass(frozen=True, eq=False)
class ReferenceIndex:
    """Labelled cells in the embedding space of a checkpoint.

    Parameters
    ----------
    vectors
        (N, D) float32: sums of gene embeddings weighted by value.
    labels, names
        (N,) types and names of the cells.
    own_distances
        (M,) float32, ascending: distances of some cells to the reference without their batch, or
        without their fold of all cells (`left_out_distances`).
    squares_V
        (V,) float32, per token of the checkpoint: sum of its squared values in the reference.
    facts
        JSON-ready: ``label_key``, ``neighbours``, ``ridge``, ``batches`` (number left out in turn; 1:
        folds of all cells), ``checkpoint`` as it was named, and ``space``, the checkpoint and options
        that another embedding must share.
    """

    vectors: np.ndarray
    labels: np.ndarray
    names: pd.Index
    own_distances: np.ndarray
    squares_V: np.ndarray
    facts: dict[str, Any]

    def check_space(self, space: dict[str, object]) -> None:
        """Check that vectors are in the embedding space of the index.

        Raises
        ------
        UserError
            Rule ``index-checkpoint``.
        """
        other = {name: own for name, own in self.facts["space"].items() if space[name] != own}
        if other:
            named = self.facts.get("checkpoint")
            add = "embed with its checkpoint and its options"
            if named and "checkpoint_sha256" in other:
                add = f"add --checkpoint {named}" + ", and its options" * (len(other) > 1)
            raise UserError(
                "index-checkpoint",
                found="an index of another " + ", ".join(other),
                expected=", ".join(f"{name} {value}" for name, value in other.items())
                + (f", which is '{named}'" if named else ""),
                mend=f"{add}, or rebuild the index: scm index",
            )

    def save(self, folder: Path) -> None:
        """Write the folder atomically, replacing an older one."""
        with atomic_folder(folder) as draft:
            for name, file in _ARRAYS.items():
                np.save(draft / file, getattr(self, name))
            table = pd.DataFrame({"name": self.names.astype(str), "label": self.labels})
            table.to_parquet(draft / _CELLS)
            write_json(draft / FACTS, self.facts)
            write_manifest(draft)

    @classmethod
    def load(cls, folder: Path) -> "ReferenceIndex":
        """Load an index, and verify it against its manifest.

        Raises
        ------
        UserError
            Rules ``index-folder`` and ``index-damaged``.
        """
        if not (restored(folder) / FACTS).is_file():
            raise UserError(
                "index-folder",
                found=f"no index at '{folder}'",
                expected=f"a folder with {FACTS}",
                mend="build one: scm index REF.h5ad --label-key KEY --output INDEX",
            )
        try:
            compare_hashes(folder, read_manifest(folder), needed=_FILES)
            facts = read_json(folder / FACTS)
            table = pd.read_parquet(folder / _CELLS)
            arrays = {
                name: np.load(folder / file, allow_pickle=False) for name, file in _ARRAYS.items()
            }
        except (OSError, ValueError, EOFError) as error:  # also `UserError`, pyarrow's errors
            raise UserError(
                "index-damaged",
                found=error.found if isinstance(error, UserError) else str(error),
                expected="unchanged files",
                mend="rebuild the index: scm index",
            ) from error
        labels, names = table["label"].to_numpy(dtype=str), pd.Index(table["name"])
        return cls(labels=labels, names=names, facts=facts, **arrays)
