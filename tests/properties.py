"""Properties that are promised: 200 examples each, 5,000 with `--faults full`, counted with the faults."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

IN_FULL, FEW, FEW_FILES = 5_000, 200, 20


def register(parent: settings, full: bool) -> None:
    """Register the profiles of what is promised; a file an example takes longer than numbers do."""
    for name, few in {"promised": FEW, "promised files": FEW_FILES}.items():
        settings.register_profile(name, parent, max_examples=IN_FULL if full else few)


def promised(test: Callable[..., Any], profile: str = "promised") -> Any:
    """Mark a property of the list, and try it as often as is promised."""
    return pytest.mark.promised(settings(settings.get_profile(profile))(test))


def promised_of_files(test: Callable[..., Any]) -> Any:
    """Mark one that writes a file each time."""
    return promised(test, "promised files")
