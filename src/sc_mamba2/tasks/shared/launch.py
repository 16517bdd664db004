"""Processes of this machine that `torchrun` starts for a run, and that end with it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sc_mamba2.errors import UserError
from sc_mamba2.training.machine import stop_on_signals

_LOOK_EVERY_SECONDS = 0.2


def run_processes(
    module: str,
    job: Path,
    processes: int,
    on_look: Callable[[], object] = lambda: None,
) -> None:
    """Start a module in so many processes, and wait for their end.

    Parameters
    ----------
    module
        Started with `job` as its one argument.
    job
        The file that says what is to be done.
    processes
        How many.
    on_look
        Called some times a second.

    Raises
    ------
    UserError
        Rule ``processes-failed``.
    SystemExit
        After a signal, which was handed on.
    """
    launcher = [sys.executable, "-m", "sc_mamba2.training.launch", "--standalone"]
    worker = ["--nproc-per-node", str(processes), "-m", module, str(job)]
    with stop_on_signals() as stop:
        # In a session of its own: a Ctrl-C comes to this process, which asks the others once.
        launched = subprocess.Popen(
            [*launcher, *worker], start_new_session=True, env=_launcher_environment()
        )
        forwarded = False
        try:
            while launched.poll() is None:
                if stop.requested and not forwarded:
                    launched.terminate()
                    forwarded = True
                on_look()
                time.sleep(_LOOK_EVERY_SECONDS)
        except BaseException:
            launched.terminate()
            launched.wait()
            raise
    if stop.requested:
        raise SystemExit(stop.exit_code)
    if launched.returncode:
        raise UserError(
            "processes-failed",
            found=f"{processes} joint processes ended with code {launched.returncode}",
            expected="all of them to finish",
            mend="see their messages above; the same command continues from what they wrote",
        )


def _launcher_environment() -> dict[str, str]:
    """Give the processes an hour to end: after 30 seconds torchrun would kill them amid a step."""
    return {"TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "3600", **os.environ}
