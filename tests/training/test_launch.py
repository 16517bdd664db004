"""A launch ends with what its processes say, and quietly where a signal ends it."""

import signal
import subprocess
import sys
import time

import pytest

WORKER = """\
import pathlib, signal, sys, time
def stop(number, frame):
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
pathlib.Path(sys.argv[1], str(time.monotonic_ns())).touch()
while sys.argv[2] == "wait":
    time.sleep(0.05)
sys.exit(int(sys.argv[2]))
"""


@pytest.mark.parametrize(("does", "code"), [("wait", 143), ("2", 2)])
def test_the_code_of_a_launch(tmp_path, full, does, code):
    if does != "wait" and not full:
        pytest.skip("tried by `make test-faults`")
    script, said = tmp_path / "worker.py", tmp_path / "said"
    script.write_text(WORKER)
    said.mkdir()
    words = ["-m", "sc_mamba2.training.launch", "--standalone", "--nproc-per-node", "2"]
    launched = subprocess.Popen(
        [sys.executable, *words, script, said, does], stderr=subprocess.PIPE, text=True
    )
    if does == "wait":
        while len(list(said.iterdir())) < 2 and launched.poll() is None:
            time.sleep(0.05)
        launched.send_signal(signal.SIGTERM)
    _, text = launched.communicate(timeout=120)
    assert launched.returncode == code, text
    assert "Traceback" not in text
