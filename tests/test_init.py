"""The package is lazy; and the Python API sets up nothing of the process that uses it."""

import subprocess
import sys

import pytest

GUEST = """
import logging, sys, warnings
import sc_mamba2 as scm
heavy = {"torch", "scanpy", "anndata", "kedro", "pandas"} & set(sys.modules)
assert not heavy, heavy
assert {"tl", "pp", "pl", "Model", "from_pretrained"} <= set(dir(scm))
assert not hasattr(scm, "absent")

import mudata, scanpy, torch  # what they set up themselves is theirs
def state():
    names = ["", *logging.root.manager.loggerDict]
    levels = {name: logging.getLogger(name).level for name in names if "sc_mamba2" not in name}
    return list(logging.root.handlers), levels, logging.root.manager.disable, sys.excepthook
handlers, levels, disabled, hook = state()
filters, options = list(warnings.filters), dict(mudata._core.config.OPTIONS)

from sc_mamba2 import tl
assert tl is scm.tl and "embed" in dir(tl)
from sc_mamba2.cells import simulate_cells
from sc_mamba2.cells.simulate_pairs import simulate_rna_protein
short = {"annotation.fine_tune.max_epochs": 1}
tl.annotate(simulate_cells(9), simulate_cells(60), label_key="cell_type", params=short)
short = {"multiomics.fine_tune.max_epochs": 1}
tl.multiome(mudata.MuData(simulate_rna_protein(60, 80)), start="none", params=short)
try:
    tl.annotate(simulate_cells(9), simulate_cells(60), label_key="absent")
except ValueError as error:
    assert "mend:" in str(error)
after = state()
assert after[0] == handlers == [], after[0]
assert {name: after[1][name] for name in levels} == levels
assert after[2:] == (disabled, hook)
assert dict(mudata._core.config.OPTIONS) == options
ours = [f for f in warnings.filters if f not in filters and "dataset names" in str(f)]
assert not ours, ours
assert not [name for name in sys.modules if name.startswith("kedro")]
"""


@pytest.mark.slow
def test_the_package_is_lazy_and_a_good_guest():
    command = [sys.executable, "-W", "ignore", "-c", GUEST]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stdout and "absent" not in done.stderr
