from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from modelyard.stack.signals import ENDING, Interrupted, interruptible


@pytest.mark.parametrize("number", ENDING)
def test_each_ending_signal_interrupts(number: signal.Signals) -> None:
    with pytest.raises(Interrupted) as raised, interruptible():
        os.kill(os.getpid(), number)
    assert raised.value.exit_code == 128 + number


def test_handlers_are_as_before_afterwards() -> None:
    before = [signal.getsignal(number) for number in ENDING]
    with interruptible():
        assert signal.getsignal(signal.SIGTERM) is not before[1]
    assert [signal.getsignal(number) for number in ENDING] == before


def test_a_second_signal_does_not_cut_the_stopping_short() -> None:
    def work() -> None:
        with interruptible():
            try:
                os.kill(os.getpid(), signal.SIGINT)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted) as raised:
        work()
    assert raised.value.number == signal.SIGINT


def test_an_interruption_is_what_python_calls_one() -> None:
    assert issubclass(Interrupted, KeyboardInterrupt)


def test_a_lost_terminal_is_heard_in_another_process() -> None:
    code = (
        "import time\n"
        "from modelyard.stack.signals import Interrupted, interruptible\n"
        "try:\n"
        "    with interruptible():\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(60)\n"
        "except Interrupted as signal:\n"
        "    raise SystemExit(signal.exit_code)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        assert process.wait(10) == 128 + signal.SIGHUP
