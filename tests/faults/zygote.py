"""Real processes that may die a real death: one imports torch once, each try is a fork of it.

It takes one order a line, and answers with the fork's pid, what the fork says, and its exit code.
"""

import importlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]


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
    """Starts children that call a function of this folder."""

    def __enter__(self) -> "Zygote":
        path = os.pathsep.join([str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote"],
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

    def start(self, module: str, function: str, **arguments: object) -> Child:
        order = {"module": f"tests.faults.{module}", "function": function, "with": arguments}
        print(json.dumps(order), file=self.process.stdin, flush=True)
        return Child(int(self.process.stdout.readline()), iter(self.process.stdout.readline, ""))

    def run(self, module: str, function: str, **arguments: object) -> tuple[int, list]:
        """Start a child and wait; return its exit code and what it said."""
        child = self.start(module, function, **arguments)
        return child.wait(), child.said


def _serve() -> None:
    # The second is what an optimizer's first step would import, in every fork anew.
    for module in ("tests.faults.toy", "torch._dynamo"):
        importlib.import_module(module)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os._exit(_obey(json.loads(line)))
        os.write(1, f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        os.write(1, f"exit {os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _obey(order: dict) -> int:
    from sc_mamba2.errors import UserError

    try:
        return getattr(importlib.import_module(order["module"]), order["function"])(**order["with"])
    except UserError as error:
        say(error.rule)
        return 2
    except BaseException:
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    _serve()
