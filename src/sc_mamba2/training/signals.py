"""SIGTERM and SIGINT as a wish that the loop asks for, so that it can end with a checkpoint."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Whether the process was asked to end, and by what."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._interrupted = False

    @property
    def requested(self) -> bool:
        """Whether the loop is to write its checkpoint and end."""
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """What the process leaves with: 143 after SIGTERM, 130 after SIGINT, else 0."""
        return 0 if self.signal is None else 128 + self.signal

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Take a signal: note the first, and leave at once at a second SIGINT."""
        if number == signal.SIGINT:
            if self._interrupted:
                raise KeyboardInterrupt
            self._interrupted = True
        self.signal = self.signal or signal.Signals(number)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Give a `Stop` that SIGTERM and SIGINT set; afterwards they do again what they did before.

    A second SIGINT raises `KeyboardInterrupt`. In another thread than the main one, where Python
    cannot take signals, nobody asks to stop.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.receive) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            # None: not set from Python, and so beyond what Python can put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
