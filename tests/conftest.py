"""Hypothesis without chance and without a clock, and the data of ../shared where they lie."""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile(
    "repeatable", deadline=None, derandomize=True, max_examples=25, database=None
)
settings.load_profile("repeatable")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Give the folder of the shared data sets, or skip."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the data sets of ../shared/data")
    return SHARED_DATA
