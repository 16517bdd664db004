"""The only module here that uses the network: download a complete file, or raise a user error."""

import shutil
import zipfile
from pathlib import Path
from typing import Any

import pooch
import requests

import sc_mamba2
from sc_mamba2.errors import UserError

# Seconds without an answer, or without a byte of it, after which a server counts as unreachable.
# Not in conf/: `scm data` reads no configuration, and no result depends on it.
WAIT_S = 60
_BLOCK = 1 << 20  # bytes per read
_BROWSE = "open the URL in a browser, put the file where `scm data list NAME` says, and pull again"
_ELSEWHERE = "download it elsewhere and put it where `scm data list NAME` says"
_ADVICE = {  # by rule: what was expected, and how to mend it
    "network": ("a network connection to it", f"connect and pull again; or {_ELSEWHERE}"),
    "download-refused": ("status 200 and the file", _BROWSE),
    "download-truncated": ("the whole file", "pull again; nothing was kept"),
    "download-foreign": ("the data set; the server may have sent a web page instead", _BROWSE),
}


def failure(rule: str, found: str) -> UserError:
    """Return the error for a failed download."""
    expected, mend = _ADVICE[rule]
    return UserError(rule, found=found, expected=expected, mend=mend)


def download(address: str, target: Path, *, progress: bool = False) -> None:
    """Download an http or https URL to `target`, following redirects.

    After a failure (`network`, `download-refused`, `download-truncated`) `target` may be incomplete, so
    use a path in a scratch folder.
    """

    def refuse_all_but_200(response: requests.Response, **_: Any) -> None:
        if response.status_code != 200 and not response.is_redirect:  # 202: a browser challenge
            raise requests.HTTPError(f"{response.status_code} {response.reason}")

    headers = {"User-Agent": f"sc-mamba2/{sc_mamba2.__version__}", "Accept-Encoding": "identity"}
    options = {"timeout": WAIT_S, "headers": headers, "hooks": {"response": refuse_all_but_200}}
    try:
        pooch.HTTPDownloader(progress, _BLOCK, **options)(address, str(target), None)
    except requests.HTTPError as error:
        raise failure("download-refused", f"{address} answered {error}") from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise failure("download-truncated", f"{address} ended early ({_cause(error)})") from error
    except requests.RequestException as error:
        raise failure("network", f"no answer from {address} ({_cause(error)})") from error


def unpack(archive: Path, member: str, target: Path, address: str) -> None:
    """Write one member of a zip archive to `target`, or raise `download-foreign`."""
    try:
        with zipfile.ZipFile(archive) as packed, target.open("wb") as file:
            shutil.copyfileobj(packed.open(member), file, _BLOCK)
    except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError) as error:
        found = f"{address} did not send a zip archive with '{member}' ({error})"
        raise failure("download-foreign", found) from error


def _cause(error: BaseException) -> BaseException:
    """Return the root cause of an error."""
    deeper = error.__cause__ or error.__context__
    return error if deeper is None else _cause(deeper)
