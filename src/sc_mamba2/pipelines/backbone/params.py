"""Parameters of the shared Mamba2 nodes."""

from typing import Literal

from pydantic import Field, field_validator

from sc_mamba2.pipelines.parameters import Parameters
from sc_mamba2.training import FitOptions

Readout = Literal["cls", "mean", "pooled"]


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


class FineTuneParams(FitOptions):
    """One training of a task model; see `FitOptions`."""


class PredictParams(Parameters):
    """Running a model over cells."""

    batch_size: int = Field(64, ge=1, le=65536, description="cells a batch; changes speed only")


class EncodeParams(PredictParams):
    """From a backbone to one embedding a cell."""

    pooling: tuple[Readout, ...] = Field(
        ("cls",),
        description="cls: the state at <cls>; mean: the mean state of a cell's genes; pooled: sum of "
        "value times gene embedding; several stand side by side, each scaled within its cell",
    )

    @field_validator("pooling")
    @classmethod
    def _at_least_one(cls, pooling: tuple[Readout, ...]) -> tuple[Readout, ...]:
        if not pooling or len(set(pooling)) != len(pooling):
            raise ValueError("name at least one readout, each once")
        return pooling
