"""Parameters of pretraining; those of the training itself are in `sc_mamba2.training.options`."""

from typing import Literal, Self

from pydantic import Field, model_validator

from sc_mamba2.cells.corpus import CorpusFilters
from sc_mamba2.cells.keys import Kind
from sc_mamba2.model.options import MoleculeOptions, ObjectiveOptions
from sc_mamba2.tasks.shared.parameters import Parameters
from sc_mamba2.tokens import MaskOptions, ThinningOptions
from sc_mamba2.training.options import (
    HeldOut,
    KeepOptions,
    PretrainOptions,
    SamplingOptions,
    Shape,
)

_MIN_COUNT_BINS = 256  # that tokens must be able to hold


class CorpusParams(Parameters):
    """Which files become the corpus, and how."""

    sources: tuple[str, ...] = Field(
        ("scanpy:pbmc68k_reduced",),
        description="files, folders, globs or lists of files; or the folder of one token store",
    )
    store: str = Field(
        "data/05_model_input/pretraining/store", description="folder of the corpus's tokens"
    )
    keep_columns: tuple[str, ...] = Field(
        ("study", "cell_type", "tissue", "assay"), description="columns of obs that are kept"
    )
    label_columns: tuple[str, ...] = Field(
        ("cell_type",),
        description="columns of obs with cell types, the first that a file has; they are matched with the "
        "Cell Ontology",
    )
    filters: CorpusFilters = Field(CorpusFilters(), description="which cells are kept")
    layer: str | None = Field(None, description="layer with the expression; null: by fixed order")
    holds: Kind | None = Field(None, description="what its values are; null: what they say")
    vocabulary: str = Field("gencode-v44", description="genes that can become tokens")
    bins: Literal["quantiles", "counts"] = Field(
        "quantiles",
        description="what the bin of a value is: the quantile of the cell that it falls in, or its count",
    )
    n_bins: int = Field(51, ge=3, le=32767, description="value bins, with bin 0 for zero")
    max_length: int = Field(
        1200, ge=2, description="tokens a cell at most, with <cls>; the highest values are kept"
    )
    cells_a_block: int = Field(4096, ge=1, description="cells in memory at a time")
    on_bad_file: Literal["stop", "skip"] = Field(
        "stop", description="what a file that cannot be read does to the corpus"
    )
    workers: int = Field(1, ge=1, description="processes of this machine that read files")
    dask_address: str | None = Field(
        None, description="a Dask scheduler whose workers read files instead; null: none"
    )

    @model_validator(mode="after")
    def _holds_counts(self) -> Self:
        if self.bins == "counts" and self.n_bins < _MIN_COUNT_BINS:
            raise ValueError(
                f"bins counts with n_bins {self.n_bins} would cut counts at {self.n_bins - 1}: set n_bins to "
                f"{_MIN_COUNT_BINS} or more"
            )
        return self


class LaunchParams(Parameters):
    """Folder and processes of the run."""

    run: str = Field("data/06_models/pretraining", description="folder of the run")
    processes: int = Field(
        1, ge=1, description="processes of this machine, started by torchrun when more than one"
    )


class PretrainingParams(Parameters):
    """All parameters of pretraining."""

    corpus: CorpusParams = CorpusParams()
    launch: LaunchParams = LaunchParams()
    shape: Shape = Shape()
    masks: MaskOptions = MaskOptions()
    sampling: SamplingOptions = SamplingOptions()
    objective: ObjectiveOptions = ObjectiveOptions()
    thinning: ThinningOptions = ThinningOptions()
    molecules: MoleculeOptions = MoleculeOptions()
    training: PretrainOptions = PretrainOptions()
    held_out: HeldOut = HeldOut()
    keep: KeepOptions = KeepOptions()
