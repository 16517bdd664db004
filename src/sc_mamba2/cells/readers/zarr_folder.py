"""An AnnData in a zarr folder (format 2 or 3), checked before any chunk is unpacked.

zarr reads a missing chunk as its fill value, zero, and its writers omit chunks that hold nothing
else. So a missing chunk is refused wherever it cannot have been written that way.
"""

from pathlib import Path
from typing import Any

import zarr

from sc_mamba2.cells.readers.layout import (
    check_size,
    check_sparse,
    no_matrix,
    points_outside,
    reading,
)
from sc_mamba2.cells.source_check import other_format
from sc_mamba2.errors import UserError

MARKS = ("zarr.json", ".zgroup", ".zmetadata")
SHARDS = "sharding_indexed"
# Codecs that only unpack bytes. Others, such as pickle, run code that the file names.
CODECS = {
    *("blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd"),
    *("adler32", "crc32", "crc32c", "delta", "shuffle"),
    *("bytes", "endian", SHARDS, "transpose", "vlen-bytes", "vlen-utf8"),
}


def is_zarr_folder(path: Path) -> bool:
    """Whether a folder calls itself a zarr group."""
    return any((path / mark).is_file() for mark in MARKS)


def open_zarr(path: Path) -> zarr.Group:
    """Open a zarr folder for reading only."""
    return zarr.open_group(zarr.storage.LocalStore(path, read_only=True), mode="r")


def check_zarr(path: Path) -> None:
    """Check every array of a zarr folder before any of it is loaded.

    Refuse a folder that is not an AnnData, is damaged, lacks chunks, uses codecs not known to be
    harmless, or links to files outside.
    """
    home = path.resolve()
    for link in path.rglob("*"):
        if link.is_symlink() and not link.resolve().is_relative_to(home):
            raise points_outside(str(link.relative_to(path)), path)
    with reading(path):
        group = open_zarr(path)
        members = dict(group.members(max_depth=None))
        for member in members.values():
            if isinstance(member, zarr.Array):
                _refuse_codecs(member, path)
                _refuse_absent_chunks(member, members, path)
                _refuse_cut_chunks(member, path)
                check_size(member, member.nbytes_stored(), path)
        if not {"obs", "var"} <= members.keys():
            raise other_format(path, f"is a zarr folder that holds {', '.join(group) or 'nothing'}")
        if not any(name in ("X", "raw/X") or name.startswith("layers/") for name in members):
            raise no_matrix(path)
        for member in members.values():
            if isinstance(member, zarr.Group):
                check_sparse(member, path)


def _codecs(array: zarr.Array) -> list[str]:
    """Return an array's codecs in the order of packing, including those of shards."""
    metadata = array.metadata.to_dict()
    if metadata["zarr_format"] == 2:
        listed = [*(metadata["filters"] or ()), metadata["compressor"]]
        return [codec["id"] for codec in listed if codec]
    return _codec_names(metadata["codecs"])


def _refuse_codecs(array: zarr.Array, path: Path) -> None:
    unknown = sorted(set(_codecs(array)) - CODECS)
    if unknown:
        raise UserError(
            "zarr-codec",
            found=f"{array.name} of {path.name} is compressed with {', '.join(unknown)}",
            expected=f"one of {', '.join(sorted(CODECS))}",
            mend="load it where it was made, if you trust it, and save it with adata.write_h5ad()",
        )


def _codec_names(codecs: Any) -> list[str]:
    """Return the names of zarr 3 codecs, including those inside shards."""
    names = []
    for codec in codecs:
        inside = codec.get("configuration") or {}
        names.append(codec["name"].removeprefix("numcodecs."))
        names += _codec_names([*inside.get("codecs", ()), *inside.get("index_codecs", ())])
    return names


def _refuse_cut_chunks(array: zarr.Array, path: Path) -> None:
    """Refuse blosc chunks that declare a length other than their own: numcodecs reads past the end."""
    names = _codecs(array)
    if not names or names[-1] != "blosc" or SHARDS in names:
        return
    for chunk in (path / array.path).rglob("*"):
        if chunk.name.startswith(".") or chunk.name in MARKS or not chunk.is_file():
            continue
        with chunk.open("rb") as file:
            declared = int.from_bytes(file.read(16)[12:], "little")
        if declared != chunk.stat().st_size:
            raise ValueError(f"chunk {chunk.relative_to(path)} is truncated")


def _refuse_absent_chunks(array: zarr.Array, members: dict[str, Any], path: Path) -> None:
    # zarr counts every shard as full, which overstates the chunks if the last one is not.
    absent = array.nchunks - array.nchunks_initialized
    if absent > 0 and not _may_be_only_zeros(array, members):
        raise UserError(
            "zarr-chunk-missing",
            found=f"{absent:,} of {array.nchunks:,} chunks of {array.name} of {path.name} are missing",
            expected="every chunk: a missing one would be read as zeros",
            mend="copy it again; write a dense matrix with all-zero parts as a sparse "
            'one, or with zarr.config.set({"array.write_empty_chunks": True})',
        )


def _may_be_only_zeros(array: zarr.Array, members: dict[str, Any]) -> bool:
    """Whether a missing chunk may hold only zeros: in a column of a table, or an array without values.

    Not all chunks of a categorical column may be missing: its values would all be of one category.
    """
    folder, _, name = array.name.strip("/").rpartition("/")
    inside = folder.split("/")[0]
    if inside in ("X", "layers") or folder.startswith("raw/X") or (not folder and name == "X"):
        data = members.get(f"{folder}/data")
        return name == "indptr" and data is not None and data.shape == (0,)
    table = members[folder].attrs if folder else {}
    if name == table.get("_index") or array.name.strip("/") == "raw/X":
        return False
    categories = members.get(f"{folder}/categories")
    if name == "categories":  # unique, so at most one is the fill value
        return array.size < 2
    if name == "codes" and categories is not None and categories.size > 1:
        return array.nchunks_initialized > 0
    return True
