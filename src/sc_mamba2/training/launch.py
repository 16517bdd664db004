"""torchrun with clean exit codes: `python -m sc_mamba2.training.launch`, with the arguments of `torchrun`.

torchrun itself exits with 1 after a clean stop, and prints a traceback if stopped by a signal.
"""

import sys
from signal import SIGINT, SIGTERM

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

STOPPED = (128 + SIGTERM, 128 + SIGINT)  # exit codes of a worker that wrote its checkpoint


def launch(arguments: list[str]) -> int:
    """Start the processes, wait for all of them, and return the exit code.

    0 at the end of the job; 143 or 130 if a signal stopped it, with a checkpoint; else that of the first
    process that failed.
    """
    try:
        main(arguments)
    except SignalException as error:
        return 128 + int(error.sigval)
    except ChildFailedError as error:
        codes = [failure.exitcode for failure in error.failures.values()]
        failed = [code for code in codes if code not in STOPPED]
        return (failed or codes)[0] if (failed or codes)[0] > 0 else 1
    return 0


if __name__ == "__main__":
    sys.exit(launch(sys.argv[1:]))
