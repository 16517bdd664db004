"""An embedding as a file that other processes and machines read, beside the blocks that they write."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import Field

import sc_mamba2
from sc_mamba2.cells.opening import Source, open_cells, source_facts
from sc_mamba2.cells.readers import NAMED
from sc_mamba2.cells.standard_form import StandardForm
from sc_mamba2.cells.stored import StoredCells
from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_file
from sc_mamba2.tasks.embedding.model import Encoder, load_encoder
from sc_mamba2.tasks.embedding.params import EmbeddingOptions
from sc_mamba2.tasks.shared.parameters import Parameters
from sc_mamba2.tasks.shared.params import IngestionParams
from sc_mamba2.training import ComputeOptions

JOB = "job.json"
Opened = tuple[Encoder, StoredCells, StandardForm]


class EmbedJob(Parameters):
    """What processes need to know that embed blocks of one source."""

    source: str = Field(description="path, absolute, or name of the cells")
    starts: tuple[int, ...] = Field(description="first cells of the blocks that lacked")
    form: dict[str, Any] = Field(description="`StandardForm.to_json`")
    identity: dict[str, Any] = Field(description="`identity_of`, as JSON gives it back")
    ingestion: IngestionParams
    options: EmbeddingOptions
    compute: ComputeOptions

    def write(self, folder: Path) -> Path:
        """Write it beside the blocks; return the file."""
        with atomic_file(folder / JOB) as draft:
            draft.write_text(self.model_dump_json(indent=1), encoding="utf-8")
        return folder / JOB

    @classmethod
    def read(cls, path: Path) -> "EmbedJob":
        """Read it, or refuse that it is not seen from here (rule ``job-missing``)."""
        if not path.is_file():
            raise UserError(
                "job-missing",
                found=f"no job at '{path}'",
                expected="the file that `scm embed` wrote beside the blocks, in a folder that all machines see",
                mend="write the output to a shared folder",
            )
        return cls.model_validate_json(path.read_text(encoding="utf-8"))

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        """Give the model, the open source, and how it is read.

        Raises
        ------
        UserError
            Rule ``job-differs``: here is another source, checkpoint or version than where it was written.
        """
        encoder = load_encoder(self.options)
        here = identity_of(self.source, encoder, self.ingestion, self.options, self.compute)
        differ = [name for name, value in self.identity.items() if here.get(name) != value]
        if differ:
            raise UserError(
                "job-differs",
                found=f"another {', '.join(differ)} than where the job was written",
                expected="the same version, checkpoint and cells, under the same paths, on every machine",
                mend="install the same version, and keep cells and checkpoint in a shared folder",
            )
        with open_cells(self.source) as stored:
            yield encoder, stored, StandardForm.from_json(self.form)


def identity_of(
    path: Source,
    encoder: Encoder,
    ingestion: IngestionParams,
    options: EmbeddingOptions,
    compute: ComputeOptions,
) -> dict[str, Any]:
    """Say everything on which the blocks depend, as JSON gives it back."""
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
