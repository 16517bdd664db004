"""Local processes that `torchrun` starts for a run, and that end with it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sc_mamba2.errors import UserError
from sc_mamba2.training.machine import stop_on_signals

_POLL_SECONDS = 0.2


def run_processes(
    module: str,
    job: Path,
    processes: int,
    on_poll: Callable[[], object] = lambda: None,
) -> None:
    """Run a module in several processes, with the job file as its only argument, until they end.

    Meanwhile `on_poll` is called several times a second.

    Raises
    ------
    UserError
        Rule ``processes-failed``.
    SystemExit
        After a signal, which was passed on.
    """
    launcher = [sys.executable, "-m", "sc_mamba2.training.launch", "--standalone"]
    worker = ["--nproc-per-node", str(processes), "-m", module, str(job)]
    with stop_on_signals() as stop:
        # In its own session: Ctrl-C reaches only this process, which asks the others once.
        launched = subprocess.Popen(
            [*launcher, *worker], start_new_session=True, env=_launcher_environment()
        )
        forwarded = False
        try:
            while launched.poll() is None:
                if stop.requested and not forwarded:
                    launched.terminate()
                    forwarded = True
                on_poll()
                time.sleep(_POLL_SECONDS)
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
    """Return an environment with an hour for shutdown: torchrun would kill a step after 30 seconds."""
    return {"TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "3600", **os.environ}
