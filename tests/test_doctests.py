"""The examples in the docstrings of the Python API run, and give what they say."""

import doctest
import importlib

import mudata
import pytest

MODULES = (
    "",
    "estimator",
    "pl",
    "pp",
    "tl.annotation",
    "tl.batch_correction",
    "tl.denoising",
    "tl.embedding",
    "tl.gene_network",
    "tl.multiomics",
    "tl.perturbation",
)


@pytest.mark.parametrize("name", MODULES, ids=lambda name: name or "sc_mamba2")
def test_the_examples_hold(name: str):
    before = dict(mudata._core.config.OPTIONS)
    try:
        done = doctest.testmod(importlib.import_module(f"sc_mamba2.{name}".rstrip(".")))
    finally:
        mudata.set_options(**before)
    assert done.attempted >= 3 and not done.failed
