"""What tasks compute is there without Kedro."""

import subprocess
import sys

import pytest

EVERY_MODULE = """
import importlib, pkgutil, sys
import sc_mamba2.tasks
names = [m.name for m in pkgutil.walk_packages(sc_mamba2.tasks.__path__, "sc_mamba2.tasks.")]
for name in names:
    importlib.import_module(name)
assert len(names) > 60, names
print([name for name in sys.modules if name.split(".")[0].startswith("kedro")])
"""


@pytest.mark.slow
def test_no_module_of_kedro_is_loaded_with_all_modules_of_tasks() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", EVERY_MODULE],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
