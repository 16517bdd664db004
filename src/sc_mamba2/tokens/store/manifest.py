"""The files of a token store, their names and types, and the manifest that lists them."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_file, sha256_of
from sc_mamba2.tokens.tokenizer import Tokenizer


def stack_obs(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Stack tables with the same columns; categorical columns keep all their categories."""
    if not tables:
        return pd.DataFrame()
    stacked = pd.concat(tables)
    for name in stacked.columns:
        parts = [table[name] for table in tables]
        if stacked[name].dtype == object and all(hasattr(part, "cat") for part in parts):
            stacked[name] = union_categoricals(parts, ignore_order=True)
    return stacked


MANIFEST = "manifest.json"
TOKENIZER = "tokenizer.json"
OBS = "obs.parquet"
COLUMNS = ("gene_rows", "bins", "values", "offsets")
FILES = (*(f"{name}.npy" for name in COLUMNS), OBS)

Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FileEntry(_Part):
    """Size in bytes and SHA-256 of one file."""

    size: Count
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @classmethod
    def of(cls, path: Path) -> "FileEntry":
        """Describe the file at `path`."""
        return cls(size=path.stat().st_size, sha256=sha256_of(path))


class ShardEntry(_Part):
    """One shard: a folder with the files in `FILES`."""

    name: str = Field(pattern=r"^shard-[0-9]{6,}$")
    cells: Count
    tokens: Count
    files: dict[Literal[FILES], FileEntry]  # type: ignore[valid-type]


class Manifest(_Part):
    """The whole store: files not listed here do not belong to it."""

    format: Literal[1] = 1
    tokenizer: FileEntry
    obs_columns: list[str] | None = None  # while there is no shard
    shards: list[ShardEntry] = []

    @property
    def sha256(self) -> str:
        """Hash that identifies everything the store holds."""
        return _digest(self.model_dump())


def column_types(tokenizer: Tokenizer) -> dict[str, np.dtype]:
    """Return the type of every column: the narrowest that is lossless for the tokenizer."""
    few_rows = tokenizer.vocabulary.size <= 2**16
    return {
        "gene_rows": np.dtype(np.uint16 if few_rows else np.int32),
        "bins": np.dtype(np.uint8 if tokenizer.rules.n_bins <= 2**8 else np.int16),
        "values": np.dtype(np.float32),
        "offsets": np.dtype(np.int64),
    }


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest atomically: a reader sees the old or the new one."""
    store = manifest.model_dump()
    with atomic_file(folder / MANIFEST) as draft:
        draft.write_text(json.dumps({"sha256": _digest(store), "store": store}))


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest and check it against the SHA-256 that it carries.

    Raises a `UserError` if it is missing, damaged, or of another format version.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_bytes())
        store, digest = content["store"], content["sha256"]
        version = store["format"]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(
            "store-missing",
            found=f"no {MANIFEST} in '{folder}'",
            expected="the folder of a token store",
            mend="correct the path, or write the store with TokenStoreWriter",
        ) from error
    except (OSError, ValueError, RecursionError, LookupError, TypeError) as error:
        raise damaged(path, f"no manifest of a token store ({error})") from error
    if digest != _digest(store):
        raise damaged(path, "its content does not match the SHA-256 in it")
    if version != 1:
        raise UserError(
            "store-format",
            found=f"version {version} of the token store format in '{folder}'",
            expected="version 1",
            mend="write the store again with this version of the package",
        )
    try:
        return Manifest.model_validate(store)
    except ValidationError as error:
        raise damaged(path, f"no manifest of a token store ({error})") from error


def damaged(path: Path, found: str) -> UserError:
    """Return the error for a file that has changed since it was written."""
    return UserError(
        "store-damaged",
        found=f"'{path}': {found}",
        expected="the file described in the manifest of the token store",
        mend="copy the store again from an intact copy, or write it again",
    )


def _digest(store: object) -> str:
    return hashlib.sha256(json.dumps(store, sort_keys=True).encode()).hexdigest()
