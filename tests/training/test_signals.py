"""A signal is noted, not obeyed at once; a second interrupt is."""

import signal
import threading

import pytest

from sc_mamba2.training import stop_on_signals

HANDLED = (signal.SIGTERM, signal.SIGINT)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_is_a_wish(number, code):
    with stop_on_signals() as stop:
        assert not stop.requested and stop.exit_code == 0
        signal.raise_signal(number)
        assert stop.requested and stop.exit_code == code


@pytest.mark.parametrize("before", [[], [signal.SIGTERM]])
def test_the_second_interrupt_leaves_at_once(before):
    with pytest.raises(KeyboardInterrupt), stop_on_signals() as stop:
        for number in (*before, signal.SIGINT):
            signal.raise_signal(number)
        assert stop.requested
        signal.raise_signal(signal.SIGINT)


def test_the_first_signal_gives_the_exit_code():
    with stop_on_signals() as stop:
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)
    assert stop.exit_code == 143


@pytest.mark.parametrize("error", [None, ValueError])
def test_the_handlers_come_back(error):
    received = []
    before = {number: signal.getsignal(number) for number in HANDLED}
    mine = signal.signal(signal.SIGTERM, lambda *arguments: received.append(arguments))
    try:
        try:
            with stop_on_signals():
                if error:
                    raise error
        except ValueError:
            pass
        signal.raise_signal(signal.SIGTERM)
        assert len(received) == 1
    finally:
        signal.signal(signal.SIGTERM, mine)
    assert before == {number: signal.getsignal(number) for number in HANDLED}


def test_in_another_thread_nobody_asks_to_stop():
    before = [signal.getsignal(number) for number in HANDLED]
    seen = []

    def work():
        with stop_on_signals() as stop:
            seen.append((stop.requested, [signal.getsignal(number) for number in HANDLED]))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, before)]
