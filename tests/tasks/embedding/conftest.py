"""A checkpoint with random weights, a file of cells, and one call that embeds it."""

from pathlib import Path

import pytest
from tests.checkpoints import write_random_checkpoint

from sc_mamba2.cells import simulate_cells
from sc_mamba2.tasks.embedding.blocks import EmbeddedBlocks
from sc_mamba2.tasks.embedding.model import load_encoder
from sc_mamba2.tasks.embedding.params import EmbeddingOptions, KeyParams, SourceParams
from sc_mamba2.tasks.embedding.predict import encode_file
from sc_mamba2.tasks.shared.params import IngestionParams, LaunchParams, ValidationParams
from sc_mamba2.training import ComputeOptions


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    return write_random_checkpoint(tmp_path_factory.mktemp("checkpoint") / "random")


@pytest.fixture(scope="session")
def cells_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("cells") / "cells.h5ad"
    simulate_cells(50).write_h5ad(path)
    return path


@pytest.fixture
def embed(checkpoint, tmp_path):
    """Give a function that embeds a source; options by name."""

    def run(
        source: object,
        folder: str = "blocks",
        label_key: str | None = None,
        batch_key: str | None = None,
        launch: LaunchParams = LaunchParams(),
        **options: object,
    ) -> EmbeddedBlocks:
        chosen = EmbeddingOptions(**{"checkpoint": str(checkpoint), "cells_a_block": 16} | options)
        return encode_file(
            load_encoder(chosen),
            SourceParams(input=str(source), blocks=str(tmp_path / folder)),
            IngestionParams(),
            ValidationParams(),
            KeyParams(label_key=label_key, batch_key=batch_key),
            chosen,
            ComputeOptions(device="cpu"),
            launch,
        )

    return run
