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

_MIN_COUNT_BINS = 256  # smallest n_bins if bins are counts


class CorpusParams(Parameters):
    """Which files become the corpus, and how."""

    sources: tuple[str, ...] = Field(
        ("scanpy:pbmc68k_reduced",),
        description="files, folders, globs or lists of files; or the folder of one token store",
    )
    store: str = Field(
        "data/05_model_input/pretraining/store", description="folder of the corpus's token store"
    )
    keep_columns: tuple[str, ...] = Field(
        ("study", "cell_type", "tissue", "assay"), description="obs columns to keep"
    )
    label_columns: tuple[str, ...] = Field(
        ("cell_type",),
        description="obs columns with cell types, to match with the Cell Ontology; a file's first is used",
    )
    filters: CorpusFilters = Field(CorpusFilters(), description="which cells to keep")
    layer: str | None = Field(
        None,
        description="layer with the expression, X or raw; null: the first usable one in a fixed order",
    )
    holds: Kind | None = Field(None, description="scale of its values; null: inferred from them")
    vocabulary: str = Field("gencode-v44", description="gene table whose genes can become tokens")
    bins: Literal["quantiles", "counts"] = Field(
        "quantiles",
        description="how to bin a value: by quantiles of the cell's values, or as its count",
    )
    n_bins: int = Field(51, ge=3, le=32767, description="value bins, including bin 0 for zero")
    max_length: int = Field(
        1200,
        ge=2,
        description="maximum tokens per cell, including <cls>; the highest values are kept",
    )
    cells_a_block: int = Field(4096, ge=1, description="cells in memory at a time")
    on_bad_file: Literal["stop", "skip"] = Field(
        "stop", description="whether a rejected file stops the run or is skipped"
    )
    workers: int = Field(1, ge=1, description="local processes that read files")
    dask_address: str | None = Field(
        None, description="Dask scheduler whose workers read the files instead; null: none"
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
    """Output folder and processes of the run."""

    run: str = Field("data/06_models/pretraining", description="folder of the run")
    processes: int = Field(
        1, ge=1, description="local processes, started by torchrun if more than one"
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
