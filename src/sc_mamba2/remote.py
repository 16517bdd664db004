"""Local copies of remote files and folders (S3 and other URLs), fetched by `fsspec`.

Each version of a remote content is copied once, atomically, into the user's cache.
"""

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock

from sc_mamba2.errors import UserError
from sc_mamba2.files import (
    atomic_file,
    atomic_folder,
    clean_scratch,
    make_folder,
    refused_write,
    scratch_folder,
    sha256_of,
)

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/+(?=[^/])")  # one slash is what `Path` leaves of two
# Metadata that identifies a version of the content; the size alone does not.
_MARKS = [
    "ETag",
    "etag",
    "checksum",
    "md5",
    "version_id",
    "mtime",
    "LastModified",
    "last_modified",
    "created",
    "Content-MD5",
]
SOMA = "soma:"  # prefix of an experiment: soma:FOLDER, soma:FOLDER?QUERY, soma:census?QUERY
_log = logging.getLogger(__name__)


def address_of(place: str | Path) -> str | None:
    """Return a URL with both slashes, or ``None`` if `place` is a path or any other name."""
    if (begin := _ADDRESS.match(str(place))) is None:
        return None
    from fsspec import available_protocols

    known = begin[1] in available_protocols()
    return f"{begin[1]}://{str(place)[begin.end() :]}" if known else None


def local_copies(place: str) -> list[str]:
    """Return `local_copy` of every file that a URL with ``*`` matches, or of `place` itself."""
    if "*" not in place or (address := address_of(place)) is None:
        return [local_copy(place)]
    with _errors(address):
        system, pattern = _opened(address)
        names = [system.unstrip_protocol(name) for name in sorted(system.glob(pattern))]
        if not names:
            raise FileNotFoundError
    return [local_copy(name) for name in names]


def local_copy(place: str | Path) -> str:
    """Return the path of the local copy of a URL; anything else is returned unchanged.

    Parameters
    ----------
    place
        A path, any other name, or a URL that `fsspec` knows: ``s3://bucket/cells.h5ad``. A remote
        folder (zarr, a checkpoint, a token store) is fetched with all its content.

    Raises
    ------
    UserError
        Rules `remote-library`, `remote-missing` and `remote-refused`; nothing is kept then.
    """
    if (address := address_of(place)) is None:
        return str(place)
    if address.startswith("file://"):
        return address.replace("file://", "/")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sc-mamba2/remote"
    with _errors(address):
        system, name = _opened(address)
        facts = system.info(name)
        is_folder = facts["type"] == "directory"
        files = system.find(name, detail=True) if is_folder else {name: facts}
        places = {one: _within(one, name) for one in files if not one.endswith("/")}
    marks = {
        one: {mark: facts[mark] for mark in _MARKS if facts.get(mark)}
        for one, facts in files.items()
    }
    sizes = {one: facts.get("size") for one, facts in files.items()}
    stated = [address, marks, sizes]
    size = sum(one or 0 for one in sizes.values()) / 1e6
    make_folder(cache)

    def fetch(folder: Path) -> Path:
        copy = folder / (PurePosixPath(name.partition("?")[0]).name or "root")
        with FileLock(folder.with_suffix(".lock")):
            if not copy.exists():
                clean_scratch(copy)
                _log.warning("Fetching %s (%.1f MB).", without_secrets(address), size)
                with _errors(address), (atomic_folder if is_folder else atomic_file)(copy) as draft:
                    system.get(list(places), [str(draft / inside) for inside in places.values()])
        return copy

    if all(marks.values()):
        return str(fetch(cache / _short_hash(stated)))
    # No metadata identifies the version: fetch again and store it by content hash, so that readers of
    # an older copy are not disturbed.
    draft = cache / f"unmarked-{_short_hash(address)}"
    with FileLock(draft.with_suffix(".lock")):
        clean_scratch(draft)
        with scratch_folder(draft) as scratch:
            copy = fetch(scratch / "new")
            inside = sorted(path for path in (copy, *copy.rglob("*")) if path.is_file())
            contents = [[str(path.relative_to(copy)), sha256_of(path)] for path in inside]
            folder = cache / _short_hash([stated, contents])
            if not folder.exists():
                copy.parent.rename(folder)
    return str(folder / copy.name)


def _short_hash(facts: Any) -> str:
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _opened(address: str) -> tuple[Any, str]:
    """Return the file system of a URL, with its cache cleared, and the path in it."""
    from fsspec import url_to_fs

    system, name = url_to_fs(address)
    system.invalidate_cache()
    return system, name.rstrip("/")


def without_secrets(words: str) -> str:
    """Return a text without the possible secrets of URLs: a password, the signature of a link."""
    if words.startswith(SOMA):
        return words  # the part after "?" is a query, not a secret
    return re.sub(r"://(?:[^/\s]*@)?([^\s?]*)(?:\?\S*)?", r"://\1", words)


def cleared(value: Any) -> Any:
    """Return a value with every text in it, also in lists and dicts, `without_secrets`."""
    if isinstance(value, dict):
        return {name: cleared(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(cleared(one) for one in value)
    return without_secrets(value) if isinstance(value, str) else value


def _first_line(error: BaseException) -> str:
    """Return the first line of an error, without the URL that aiohttp appends."""
    return str(error).partition("\n")[0].partition(", url=")[0] or type(error).__name__


def _within(name: str, folder: str) -> str:
    """Return the path of a file relative to a folder, empty for the folder itself; ``..`` is an error."""
    inside = name.removeprefix(folder).lstrip("/")
    if ".." in inside.split("/"):
        raise ValueError(f"the name '{name}', which leads out of its folder")
    return inside


@contextmanager
def _errors(address: str) -> Iterator[None]:
    """Turn the errors of the various file systems into `UserError`."""
    address = without_secrets(address)
    try:
        yield
    except ImportError as error:
        raise UserError(
            "remote-library",
            found=f"{address}, but: {error}",
            expected="the library that reads such URLs",
            mend="pip install 'sc-mamba2[remote]' for s3://; for others, the library named above",
        ) from error
    except FileNotFoundError as error:
        raise UserError(
            "remote-missing",
            found=f"nothing at {address}"
            + (f" ({_first_line(error.__cause__)})" if error.__cause__ else ""),
            expected="an existing file or folder",
            mend="check the URL, for S3 also the endpoint: AWS_ENDPOINT_URL, AWS_PROFILE",
        ) from error
    except Exception as error:
        denied = isinstance(error, PermissionError) and not error.filename
        if isinstance(error, OSError) and refused_write(error) and not denied:
            raise  # an error of the local disk
        raise UserError(
            "remote-refused",
            found=f"the answer to {address}: {_first_line(error)}",
            expected="a reachable URL that you may read",
            mend="check network and credentials, such as AWS_PROFILE, AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL",
        ) from error
