"""User options for tokenization, masking and thinning. Imports nothing heavy."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Options(BaseModel):
    """User options: known fields only, immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TokenizerRules(Options):
    """How values become tokens; stored with every checkpoint."""

    bins: Literal["quantiles", "counts"] = Field(
        "quantiles",
        description="how to bin a value: by quantiles of the cell's values, or as its count, estimated "
        "from the values",
    )
    n_bins: int = Field(51, ge=3, le=32767, description="value bins, including bin 0 for zero")
    max_length: int = Field(
        4096,
        ge=2,
        description="maximum tokens per cell, including <cls>; the highest values are kept",
    )
    order: Literal["vocabulary", "expression"] = Field(
        "vocabulary",
        description="order of a cell's genes: the vocabulary's, or highest value first; masked training "
        "needs the vocabulary's, since a gene's rank would reveal its masked value",
    )


class MaskOptions(Options):
    """How much to mask, and in which channel."""

    min_ratio: float = Field(
        0.15, ge=0, le=1, description="minimum masking probability of a cell's genes, 0 to 1"
    )
    max_ratio: float = Field(
        0.5, ge=0, le=1, description="maximum; each cell's is drawn uniformly between the two"
    )
    left_out: float = Field(
        0.5,
        ge=0,
        le=1,
        description="maximum fraction of a cell's genes left out of the input, which the model must name; "
        "each cell's is drawn uniformly from 0 to it",
    )
    zero_share: float = Field(
        0.1,
        ge=0,
        le=4,
        description="unexpressed genes to add, as a fraction of the cell's genes, 0 to 4",
    )
    channel: Literal["bins", "values"] = Field(
        "bins",
        description="what to mask and predict: bins, or log-normalised values; pretraining takes bins only",
    )

    @model_validator(mode="after")
    def _ordered(self) -> "MaskOptions":
        if self.min_ratio > self.max_ratio:
            raise ValueError("min_ratio is larger than max_ratio")
        return self


class ThinningOptions(Options):
    """How each cell's molecules are split into input and targets."""

    min_share: float = Field(
        0.2, gt=0, lt=1, description="minimum fraction of a cell's molecules to keep, 0 to 1"
    )
    max_share: float = Field(
        0.8, gt=0, lt=1, description="maximum; each cell's is drawn uniformly between the two"
    )
    read_tokens: int = Field(
        192,
        ge=1,
        description="maximum number of genes per cell, drawn at random, that the Mamba2 layers read; the "
        "bag reads all",
    )
    study_dropout: float = Field(
        0.5,
        ge=0,
        le=1,
        description="fraction of cells whose study is hidden, so that unseen studies can be predicted",
    )

    @model_validator(mode="after")
    def _ordered(self) -> "ThinningOptions":
        if self.min_share > self.max_share:
            raise ValueError("min_share is larger than max_share")
        return self
