"""A save that meets a fault at its n-th contact with the disk: killed, or refused by the system.

Contacts are counted by an audit hook, so that no point between two of them is left to chance.
"""

import errno
import os
import resource
import shutil
import signal
import sys
from pathlib import Path

from tests.faults.toy import save_numbers
from tests.zygote import say

from sc_mamba2.training import TrainingCheckpoints

FIRST_STEPS = (1, 2, 3)
NEXT = 4
NOBODY = 65534
WRITES = {"write", "mkdir", "before fsync", "before rename"}
_NAMES = {
    "os.mkdir": "mkdir",
    "os.rename": "before rename",
    "os.chmod": "after temporary file",
    "os.remove": "prune",
    "os.rmdir": "prune",
    "test.after_rename": "after rename",
    "test.before_fsync": "before fsync",
    "test.after_fsync": "after fsync",
}


def prepare(run: Path, keep_last: int = 2) -> None:
    """Write a run of three steps of which the first is the best."""
    with TrainingCheckpoints(run, keep_last) as checkpoints:
        for step in FIRST_STEPS:
            save_numbers(checkpoints, step)


def save(run: str, keep_last: int, kinds: int, fault: str, at: int) -> int:
    """Save the next step, with a fault at the contact `at` (from 0); say the contacts that were."""
    with TrainingCheckpoints(run, keep_last) as checkpoints:
        contacts = _sabotage(run, fault, at)
        save_numbers(checkpoints, NEXT, kinds)
        say(contacts)
    return 0


def save_within_limit(run: str, bytes_a_file: int) -> int:
    """Save where no file may grow beyond a size."""
    with TrainingCheckpoints(run, 2) as checkpoints:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_a_file, hard))
        save_numbers(checkpoints, NEXT)
    return 0


def save_as_nobody(run: str, enter_first: bool) -> int:
    """Save where this user may not write, which they find out on entering or later."""
    folder = Path(run)
    if not enter_first:
        _lose_rights(folder)
    with TrainingCheckpoints(folder, 2) as checkpoints:
        _lose_rights(folder)
        save_numbers(checkpoints, NEXT)
    return 0


def _lose_rights(run: Path) -> None:
    for folder in (run, run / "checkpoints"):
        folder.chmod(0o555)
    if os.geteuid() == 0:
        os.setresuid(NOBODY, NOBODY, NOBODY)


def _sabotage(run: str, fault: str, at: int) -> list[str]:
    contacts: list[str] = []

    def hook(event: str, arguments: tuple) -> None:
        contact = _contact(event, arguments, run)
        if contact is None:
            return
        contacts.append(contact)
        if len(contacts) == at + 1:
            if fault == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if fault == "removed":
                shutil.rmtree(run)
        if len(contacts) > at and fault in ("ENOSPC", "EROFS") and contact in WRITES:
            raise OSError(getattr(errno, fault), "the saboteur's doing")

    os.fsync = _around(os.fsync, "test.before_fsync", "test.after_fsync")
    os.replace = _around(os.replace, None, "test.after_rename")
    sys.addaudithook(hook)
    return contacts


def _contact(event: str, arguments: tuple, run: str) -> str | None:
    if event == "open":
        path, mode, _ = arguments
        writes = mode is not None and set(mode) & set("wax+")
        return "write" if writes and str(path).startswith(run) else None
    return _NAMES.get(event)


def _around(call, before: str | None, after: str):
    def wrapped(*arguments):
        if before is not None:
            sys.audit(before)
        result = call(*arguments)
        sys.audit(after)
        return result

    return wrapped
