"""Embedding as a job over blocks of cells."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

import sc_mamba2
from sc_mamba2.cells.opening import Source, open_cells, source_facts
from sc_mamba2.cells.readers import NAMED
from sc_mamba2.cells.standard_form import StandardForm
from sc_mamba2.errors import UserError
from sc_mamba2.tasks.embedding.encode import encode_blocks
from sc_mamba2.tasks.embedding.model import Encoder, load_encoder
from sc_mamba2.tasks.embedding.params import EmbeddingOptions
from sc_mamba2.tasks.shared.block_job import BlockJob, ComputeBlock
from sc_mamba2.tasks.shared.params import IngestionParams
from sc_mamba2.training import ComputeOptions


class EmbedJob(BlockJob):
    """A job that embeds blocks of one source."""

    worker: ClassVar[str] = "sc_mamba2.tasks.embedding.worker"

    source: str = Field(description="absolute path, or name, of the cells")
    form: dict[str, Any] = Field(description="`StandardForm.to_json`")
    identity: dict[str, Any] = Field(description="output of `identity_of`")
    ingestion: IngestionParams
    options: EmbeddingOptions

    @contextmanager
    def opened(self, folder: Path) -> Iterator[ComputeBlock]:
        """Load the model and open the source; see the base class.

        Raises
        ------
        UserError
            Rule ``job-differs``: source, checkpoint, options or version differ from those of the job.
        """
        encoder = load_encoder(self.options)
        here = identity_of(self.source, encoder, self.ingestion, self.options, self.compute)
        differ = [name for name, value in self.identity.items() if here.get(name) != value]
        if differ:
            raise UserError(
                "job-differs",
                found=f"a different {', '.join(differ)} than where the job was written",
                expected="the same version, checkpoint and cells, under the same paths, on every machine",
                mend="install the same version, and keep cells and checkpoint in a shared folder",
            )
        with open_cells(self.source) as stored:
            form = StandardForm.from_json(self.form)
            how = self.options, self.compute
            yield lambda start: list(encode_blocks(encoder, stored, form, folder, [start], *how))


def identity_of(
    path: Source,
    encoder: Encoder,
    ingestion: IngestionParams,
    options: EmbeddingOptions,
    compute: ComputeOptions,
) -> dict[str, Any]:
    """Return everything that the blocks depend on, after a round trip through JSON."""
    if not isinstance(path, str):
        origin: list[Any] = ["memory", []]
    elif path.startswith(NAMED):
        origin = [path, source_facts(path)]
    else:
        origin = ["", source_facts(path)]
    table = encoder.identity(options) | {
        "version": sc_mamba2.__version__,
        "source": origin,
        "ingestion": ingestion.model_dump(mode="json"),
        "cells_a_block": options.cells_a_block,
        "arrays": ["vectors", "genes", "sums", "squares"],
        "scan_path": compute.scan_path,
    }
    known: dict[str, Any] = json.loads(json.dumps(table))
    return known
