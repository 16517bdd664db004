"""Hypothesis without chance or clock, the data of ../shared where they lie, GPU tests on a GPU,
pages in Chromium; `--faults full` tries the faults of tests/faults as often as is promised.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import settings
from tests.properties import register
from tests.zygote import Zygote

if shutil.which("nvidia-smi") is None:
    # Triton reads it when it is imported, and torch may import it: kernels run in the interpreter.
    os.environ["TRITON_INTERPRET"] = "1"

settings.register_profile(
    "repeatable", deadline=None, derandomize=True, max_examples=25, database=None
)
settings.load_profile("repeatable")
# A run reads thirty files by a class that derives from this one; the same parser in C is much quicker.
yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the number of tries of tests/faults."""
    parser.addoption("--faults", choices=("few", "full"), default="few")


def pytest_configure(config: pytest.Config) -> None:
    """Set how often a promised property is tried, before its module is read."""
    register(settings.get_profile("repeatable"), config.getoption("--faults") == "full")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what a full run of the faults came to, as `make test-faults` does."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if (
        session.config.getoption("--faults") == "full"
        and reporter
        and not session.config.option.keyword
    ):
        from tests.faults.results import write_results

        write_results(reporter.stats)


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    """Say whether every fault is tried as often as shared/design/reliability.md asks."""
    return bool(pytestconfig.getoption("--faults") == "full")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Give the folder of the shared data sets, or skip."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the data sets of ../shared/data")
    return SHARED_DATA


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """Give the process whose forks train, and may be killed."""
    with Zygote() as started:
        yield started


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what is marked `gpu` where the kernels cannot run, and say why."""
    if item.get_closest_marker("gpu") is None:
        return
    import torch

    from sc_mamba2.ops import kernels_missing

    missing = kernels_missing("cuda" if torch.cuda.is_available() else "cpu")
    if missing is not None:
        pytest.skip(f"needs the GPU kernels: {missing}")


@pytest.fixture(
    scope="module"
)  # of a module: a loop of events that stays open troubles the notebooks
def browser() -> Iterator[Any]:
    """Give a headless Chromium, or skip."""
    pytest.importorskip("playwright", reason="needs playwright")
    from docs.screenshots import chromium, chromium_program

    if not chromium_program():
        pytest.skip("needs Chromium on the path")
    with chromium() as opened:
        yield opened
