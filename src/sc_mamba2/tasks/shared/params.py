"""Shared parameters: reading and checking cells, tokenization, the backbone, training, prediction."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from sc_mamba2.cells.keys import Kind
from sc_mamba2.tasks.shared.parameters import EachOnce, Parameters
from sc_mamba2.training.options import ComputeOptions, FitOptions

Readout = Literal["cls", "mean", "pooled"]


class IngestionParams(Parameters):
    """How cells are read."""

    layer: str | None = Field(
        None,
        description="layer with the expression, or X, or raw; null: the first usable matrix by fixed order",
    )
    holds: Kind | None = Field(
        None,
        description="what its values are (log_normalised: log1p of 10,000 per cell); null: what their "
        "structure says",
    )
    species: Literal["human", "mouse"] = Field(
        "human",
        description="of the cells; mouse: a gene is read as the one human gene that it stands for, those "
        "without one are left out, and the output keeps the file's names",
    )

    @property
    def gene_table(self) -> str:
        """Name of the gene table of the species."""
        from sc_mamba2.genes import MOUSE  # which loads pandas

        return MOUSE if self.species == "mouse" else "gencode-v44"


class ValidationParams(Parameters):
    """Limits below which cells are rejected, or only remarked on."""

    minimum_matched_share: float = Field(
        0.5, ge=0, le=1, description="share of the file's genes that the gene table must know"
    )
    minimum_genes: int = Field(50, ge=1, description="mapped genes that a file must have")
    few_genes_a_cell: int = Field(
        20, ge=0, description="cells with fewer expressed genes are counted in the report"
    )
    minimum_weight_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="share of a trained model's weight that a file's genes must hold",
    )
    remark_weight_share: float = Field(
        0.5, ge=0, le=1, description="share of the weight below which a warning is given"
    )


class LabelReadingParams(Parameters):
    """How a column of labels is read."""

    keep_absence_words: bool = Field(
        False,
        description="whether words such as nan, unknown and unassigned are labels like others; false: "
        "such a cell has no label",
    )


class TokenizationParams(Parameters):
    """Which genes become tokens, and how."""

    vocabulary: str = Field(
        "gencode-v44", description="name of a shipped vocabulary, or a checkpoint folder"
    )
    variable_genes: int | None = Field(
        2000, ge=1, description="most variable genes of the reference that are used; null: all"
    )
    n_bins: int = Field(
        51,
        ge=3,
        le=32767,
        description="value bins, with bin 0 for zero; of a checkpoint's vocabulary its own are taken",
    )
    max_length: int = Field(
        4096, ge=2, description="tokens a cell at most, with <cls>; the highest values are kept"
    )
    order: Literal["vocabulary", "expression"] = Field(
        "vocabulary",
        description="order of a cell's genes: the vocabulary's, or highest value first",
    )


class BackboneParams(Parameters):
    """Which backbone a task starts from."""

    checkpoint: str | None = Field(
        None, description="checkpoint folder to start from; null: a new backbone of the preset"
    )
    preset: str = Field("micro", description="size of a new backbone: micro, tiny, small, base, …")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout of a new backbone")
    gene_start: Literal["svd", "random"] = Field(
        "svd",
        description="start of a new backbone's gene embedding: singular vectors of the training "
        "cells, or chance",
    )
    start_scale: float = Field(
        0.1, gt=0, description="root mean square of the gene embedding's first values"
    )
    minimum_share: float = Field(
        0.002,
        ge=0,
        le=1,
        description="share of the checkpoint's weight that the genes of the cells must hold",
    )


class FineTuneParams(FitOptions):
    """One training of a task model; see `FitOptions`."""


class PredictParams(Parameters):
    """Running a model over cells."""

    batch_size: int = Field(64, ge=1, le=65536, description="cells a batch; changes speed only")


class LaunchParams(Parameters):
    """Which processes compute the blocks of cells."""

    processes: int = Field(
        1,
        ge=0,
        description="processes of this machine, started by torchrun when more than one; 0: the job is written, "
        "and processes that are started elsewhere are waited for",
    )
    dask_address: str | None = Field(
        None, description="a Dask scheduler whose workers do them instead; null: none"
    )

    @property
    def uses_workers(self) -> bool:
        """Whether processes other than this one compute them."""
        return self.processes != 1 or self.dask_address is not None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.dask_address is not None and self.processes != 1:
            raise ValueError("processes and dask_address are alternatives: give only one of them")
        return self


class BlockLaunchParams(LaunchParams):
    """The same, with the folder of the blocks."""

    blocks: str = Field(
        "data/07_model_output/annotation/blocks",
        description="folder of the blocks that other processes did, from which a killed run goes on",
    )


class EncodeParams(PredictParams):
    """Pooling a backbone's output into one embedding per cell."""

    pooling: Annotated[tuple[Readout, ...], EachOnce] = Field(
        ("cls",),
        min_length=1,
        description="cls: the state at <cls>; mean: the mean state of a cell's genes; pooled: sum of "
        "value times gene embedding; several stand side by side, each scaled within its cell",
    )


# Parameter groups of every task on cells, by name.
SHARED_GROUPS: dict[str, type[BaseModel]] = {
    "ingestion": IngestionParams,
    "validation": ValidationParams,
    "tokenization": TokenizationParams,
    "compute": ComputeOptions,
}
