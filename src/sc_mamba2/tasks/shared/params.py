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
        description="layer with the expression, or X or raw; null: the first usable of layers[counts], raw and X, "
        "preferring counts",
    )
    holds: Kind | None = Field(
        None,
        description="scale of its values (log_normalised: log1p of 10,000 per cell); null: inferred from the "
        "values",
    )
    species: Literal["human", "mouse"] = Field(
        "human",
        description="species of the cells; mouse: genes are mapped to one-to-one human orthologues, those without "
        "one are dropped, and the output keeps the file's names",
    )

    @property
    def gene_table(self) -> str:
        """Name of the gene table of the species."""
        from sc_mamba2.genes import MOUSE  # loads pandas

        return MOUSE if self.species == "mouse" else "gencode-v44"


class ValidationParams(Parameters):
    """Limits below which a file is rejected, or a remark is made."""

    minimum_matched_share: float = Field(
        0.5, ge=0, le=1, description="minimum share of the file's genes found in the gene table"
    )
    minimum_genes: int = Field(50, ge=1, description="minimum mapped genes in a file")
    few_genes_a_cell: int = Field(
        20, ge=0, description="the report counts cells with fewer expressed genes"
    )
    minimum_weight_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="minimum share of a trained model's weight on the file's genes",
    )
    remark_weight_share: float = Field(
        0.5, ge=0, le=1, description="share of that weight below which a warning is given"
    )


class LabelReadingParams(Parameters):
    """How a column of labels is read."""

    keep_absence_words: bool = Field(
        False,
        description="whether words such as nan, unknown and unassigned are kept as labels; false: such a cell has "
        "no label",
    )


class TokenizationParams(Parameters):
    """Which genes become tokens, and how they are encoded."""

    vocabulary: str = Field(
        "gencode-v44", description="shipped vocabulary or checkpoint, or a checkpoint folder"
    )
    variable_genes: int | None = Field(
        2000, ge=1, description="most variable genes of the reference to use; null: all"
    )
    n_bins: int = Field(
        51,
        ge=3,
        le=32767,
        description="value bins, including bin 0 for zero; a checkpoint's vocabulary sets its own",
    )
    max_length: int = Field(
        4096, ge=2, description="maximum tokens per cell, with <cls>; the highest values are kept"
    )
    order: Literal["vocabulary", "expression"] = Field(
        "vocabulary",
        description="order of a cell's genes: the vocabulary's, or by decreasing value",
    )


class BackboneParams(Parameters):
    """Which backbone a task starts from."""

    checkpoint: str | None = Field(
        None,
        description="checkpoint, shipped or a folder, to start from; null: a new one of the preset",
    )
    preset: str = Field("micro", description="size of a new backbone: micro, tiny, small, base, …")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout of a new backbone")
    gene_start: Literal["svd", "random"] = Field(
        "svd",
        description="initial gene embedding of a new backbone: SVD of the training cells, or random",
    )
    start_scale: float = Field(0.1, gt=0, description="root mean square of the SVD initialisation")
    minimum_share: float = Field(
        0.002,
        ge=0,
        le=1,
        description="minimum share of the checkpoint's weight on the genes of the cells",
    )


class FineTuneParams(FitOptions):
    """Training of a task model; see `FitOptions`."""


class PredictParams(Parameters):
    """How a model is run over cells."""

    batch_size: int = Field(64, ge=1, le=65536, description="cells per batch; affects only speed")


class LaunchParams(Parameters):
    """Which processes compute the blocks of cells."""

    processes: int = Field(
        1,
        ge=0,
        description="number of local processes, started by torchrun if more than one; 0: only write the job, and "
        "wait for processes started elsewhere",
    )
    dask_address: str | None = Field(
        None, description="a Dask scheduler whose workers are used instead; null: none"
    )

    @property
    def uses_workers(self) -> bool:
        """Whether processes other than this one compute the blocks."""
        return self.processes != 1 or self.dask_address is not None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.dask_address is not None and self.processes != 1:
            raise ValueError("processes and dask_address are alternatives: give only one of them")
        return self


class BlockLaunchParams(LaunchParams):
    """`LaunchParams` with the folder of the blocks."""

    blocks: str = Field(
        "data/07_model_output/annotation/blocks",
        description="folder of other processes' blocks, from which an interrupted run resumes",
    )


class EncodeParams(PredictParams):
    """Pooling a backbone's output into one embedding per cell."""

    pooling: Annotated[tuple[Readout, ...], EachOnce] = Field(
        ("cls",),
        min_length=1,
        description="cls: state at <cls>; mean: mean state of a cell's genes; pooled: value-weighted sum of gene "
        "embeddings; several are concatenated, each standardised within its cell",
    )


# Parameter groups shared by all tasks on cells, by name.
SHARED_GROUPS: dict[str, type[BaseModel]] = {
    "ingestion": IngestionParams,
    "validation": ValidationParams,
    "tokenization": TokenizationParams,
    "compute": ComputeOptions,
}
