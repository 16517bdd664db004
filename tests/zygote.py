"""Real processes that may die a real death: one imports torch once, each try is a fork of it.

It takes one order a line, and answers with the fork's pid, what the fork says, and its exit code.
An order of several ranks is of as many forks, which find each other as those of `torchrun` do.
"""

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sc_mamba2.errors import UserError

ROOT = Path(__file__).parents[1]
PRELOADED = (
    "sc_mamba2.training.run",
    "torch._dynamo",  # an optimizer's first step would import it, in every fork anew
    "torch.distributed.fsdp",
)


def say(words: object) -> None:
    """Tell the test something, from within the fork."""
    os.write(1, f"said {json.dumps(words)}\n".encode())


@dataclass
class Child:
    """A fork at work; `wait` for it before the next is started."""

    pid: int
    answers: Iterator[str]
    said: list = field(default_factory=list)

    def listen(self) -> object:
        """Wait for the next thing that the child says."""
        kind, words = next(self.answers).split(" ", 1)
        assert kind == "said", words
        self.said.append(json.loads(words))
        return self.said[-1]

    def wait(self) -> int:
        """Return the exit code, minus the signal's number if one killed the child."""
        for answer in self.answers:
            kind, words = answer.split(" ", 1)
            if kind == "exit":
                return int(words)
            self.said.append(json.loads(words))
        raise AssertionError("the zygote died")


class Zygote:
    """Starts children that call a function of the tests."""

    def __enter__(self) -> "Zygote":
        path = os.pathsep.join([str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        )
        return self

    def __exit__(self, *error: object) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(30)

    def start(self, function: Callable[..., int], ranks: int = 1, **arguments: object) -> Child:
        """Start a child that calls a function, or several ranks that each do."""
        order = {
            "module": function.__module__,
            "function": function.__name__,
            "with": arguments,
            "ranks": ranks,
        }
        print(json.dumps(order), file=self.process.stdin, flush=True)
        return Child(int(self.process.stdout.readline()), iter(self.process.stdout.readline, ""))

    def run(
        self, function: Callable[..., int], ranks: int = 1, **arguments: object
    ) -> tuple[int, list]:
        """Start it and wait; return the exit code and what was said."""
        child = self.start(function, ranks, **arguments)
        return child.wait(), child.said


def _serve() -> None:
    for module in PRELOADED:
        importlib.import_module(module)
    for line in sys.stdin:
        order = json.loads(line)
        told, tell = os.pipe()  # a child says nothing before its pid was said
        pid = _fork(_obey if order["ranks"] == 1 else _launch, order | {"told": told})
        os.write(1, f"{pid}\n".encode())
        os.write(tell, b".")
        os.close(told)
        os.close(tell)
        _, status = os.waitpid(pid, 0)
        os.write(1, f"exit {os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _fork(call: Callable[[dict], int], order: dict) -> int:
    pid = os.fork()
    if pid == 0:
        if "told" in order:
            os.read(order.pop("told"), 1)
        os._exit(call(order))
    return pid


def _obey(order: dict) -> int:
    try:
        return getattr(importlib.import_module(order["module"]), order["function"])(**order["with"])
    except UserError as error:
        say(error.rule)
        return 2
    except BaseException:
        traceback.print_exc()
        return 1


def _launch(order: dict) -> int:
    """Start the ranks and wait for all, 30 seconds once one failed; return the first failure."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    ranks = order["ranks"]
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(ranks)}
    running, failure = set(), 0
    for rank in range(ranks):
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        running.add(_fork(_obey, order))
    signal.signal(signal.SIGALRM, lambda *_: [os.kill(pid, signal.SIGKILL) for pid in running])
    while running:
        pid, status = os.wait()
        running.remove(pid)
        code = os.waitstatus_to_exitcode(status)
        if code and not failure:
            failure = code
            signal.alarm(30)
    return failure


if __name__ == "__main__":
    _serve()
