"""One run of the whole annotation on simulated cells, shared by the tests here."""

from pathlib import Path
from typing import Any

import pytest

from sc_mamba2.runs.selection import Selection
from sc_mamba2.runs.session import Finished, run_in_folder

QUICK: dict[str, Any] = {
    "input": "simulated:three-types",
    "annotation": {
        "labels": {"key": "cell_type"},
        "head": {"fit": "network"},
        "fine_tune": {"max_epochs": 2},
        "ablations": {"names": ["trunk_frozen"]},
        "baselines": {"regularisation": [1.0], "folds": 2},
    },
}


def run(folder: Path, *to_nodes: str, **params: Any) -> Finished:
    """Run it whole, or what comes before some nodes of it."""
    selection = Selection(pipelines=("annotation",), to_nodes=to_nodes, params=QUICK | params)
    return run_in_folder(selection, folder)


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Finished:
    return run(tmp_path_factory.mktemp("annotation"))
