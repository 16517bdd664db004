"""The one place that uses the network: an address becomes a whole file, or an error for a person."""

import zipfile
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPException, HTTPResponse, IncompleteRead
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import sc_mamba2
from sc_mamba2.errors import UserError

Told = Callable[[int, int | None], None]  # bytes so far, bytes in all where the server says
BLOCK = 1 << 20
WAIT = 60  # seconds without an answer


def download(address: str, target: Path, told: Told) -> None:
    """Write what lies at an address to `target`.

    Parameters
    ----------
    address
        An http or https address; redirections are followed.
    target
        The file to write. After an error it may hold a part: give a scratch folder.
    told
        Called after every block with the bytes so far and in all.

    Raises
    ------
    UserError
        Rules `network` (no answer), `download-refused` (an answer other than 200), and
        `download-truncated`.
    """
    with closing(_open(address)) as answer:
        declared = answer.headers.get("Content-Length")
        size = int(declared) if declared and declared.isdigit() else None
        got = 0
        with target.open("wb") as file:
            while block := _read(answer, address):
                file.write(block)
                got += len(block)
                told(got, size)
    if size is not None and got != size:
        raise _truncated(address, f"{got:,} of {size:,} bytes")


def unpack(archive: Path, member: str, target: Path, address: str) -> None:
    """Write one member of a zip archive to `target`; nothing else of the archive is looked at.

    Raises
    ------
    UserError
        Rule `download-foreign`: no zip archive, damaged, or without the member.
    """
    try:
        with (
            zipfile.ZipFile(archive) as packed,
            packed.open(member) as inside,
            target.open("wb") as file,
        ):
            while block := inside.read(BLOCK):
                file.write(block)
    except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError) as error:
        raise foreign(address, f"no zip archive with '{member}' ({error})") from error


def foreign(address: str, found: str) -> UserError:
    """Make the error of a download that is something else than what was wanted."""
    return UserError(
        "download-foreign",
        found=f"{address} gave {found}",
        expected="the data set; a page of a web site may have come in its place",
        mend="open the address in a browser, put the file where `scm data list NAME` says, pull again",
    )


def _open(address: str) -> HTTPResponse:
    asked = Request(address, headers={"User-Agent": f"sc-mamba2/{sc_mamba2.__version__}"})
    try:
        answer: HTTPResponse = urlopen(asked, timeout=WAIT)
    except HTTPError as error:
        raise _refused(address, f"{error.code} {error.reason}") from error
    except (OSError, HTTPException) as error:
        raise _no_network(address, error) from error
    if answer.status != 200:  # such as 202, with a riddle for browsers
        answer.close()
        raise _refused(address, f"{answer.status} {answer.reason}")
    return answer


def _read(answer: HTTPResponse, address: str) -> bytes:
    try:
        return answer.read(BLOCK)
    except IncompleteRead as error:
        raise _truncated(address, f"{len(error.partial):,} bytes of the last block") from error
    except (OSError, HTTPException) as error:
        raise _no_network(address, error) from error


def _no_network(address: str, error: Exception) -> UserError:
    return UserError(
        "network",
        found=f"no answer from {address} ({getattr(error, 'reason', None) or error})",
        expected="a network that reaches it",
        mend="connect and pull again; or fetch it elsewhere and put it where `scm data list NAME` says",
    )


def _refused(address: str, said: str) -> UserError:
    return UserError(
        "download-refused",
        found=f"{address} answered {said}",
        expected="200 and the file",
        mend="open the address in a browser, put the file where `scm data list NAME` says, pull again",
    )


def _truncated(address: str, got: str) -> UserError:
    return UserError(
        "download-truncated",
        found=f"{address} ended after {got}",
        expected="the whole file",
        mend="pull again; nothing was kept",
    )
