"""How often a fault is tried."""

from collections.abc import Callable

import pytest

VARIANTS = ((2, 2), (1, 1), (3, 3), (1, 3), (2, 4), (1, 8), (2, 1))  # keep_last, kinds of tensors


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Try one variant of a save, or all of them in full."""
    if "variant" in metafunc.fixturenames:
        few = VARIANTS if metafunc.config.getoption("--faults") == "full" else VARIANTS[:1]
        metafunc.parametrize("variant", few, ids=str)


@pytest.fixture
def tries(full: bool, record_property: Callable[[str, object], None]) -> Callable[[int], int]:
    """Give the number of tries for the number that a full run has, and note it for the results."""

    def number(in_full: int) -> int:
        taken = in_full if full else max(1, in_full // 60)
        record_property("tries", taken)
        return taken

    return number
