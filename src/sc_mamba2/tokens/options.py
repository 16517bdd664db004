"""What a person may choose about tokens and masks. It imports nothing heavy."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Options(BaseModel):
    """What a person may choose: fields that are known, and do not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TokenizerRules(Options):
    """How values become tokens; stored with every checkpoint."""

    bins: Literal["quantiles", "counts"] = Field(
        "quantiles",
        description="what the bin of a value is: the quantile of the cell that it falls in, or its count, "
        "as it can be told from the values",
    )
    n_bins: int = Field(51, ge=3, le=32767, description="value bins, with bin 0 for zero")
    max_length: int = Field(
        4096, ge=2, description="tokens a cell at most, with <cls>; the highest values are kept"
    )
    order: Literal["vocabulary", "expression"] = Field(
        "vocabulary",
        description="order of a cell's genes: the vocabulary's, or highest value first; masked "
        "training needs the vocabulary's, since a place among values would tell a hidden one",
    )


class MaskOptions(Options):
    """How much is hidden, and of what."""

    min_ratio: float = Field(
        0.15, ge=0, le=1, description="least share of a cell's genes that is hidden, 0 to 1"
    )
    max_ratio: float = Field(
        0.5, ge=0, le=1, description="largest share; each cell's is drawn evenly between the two"
    )
    left_out: float = Field(
        0.5,
        ge=0,
        le=1,
        description="largest share of a cell's genes that the model does not see at all and is "
        "asked for by name; each cell's share is drawn evenly from 0 to it",
    )
    zero_share: float = Field(
        0.1,
        ge=0,
        le=4,
        description="unexpressed genes that are added, as a share of the cell's genes, 0 to 4",
    )
    channel: Literal["bins", "values"] = Field(
        "bins", description="what is hidden and asked for: bins, or log-normalised values"
    )

    @model_validator(mode="after")
    def _ordered(self) -> "MaskOptions":
        if self.min_ratio > self.max_ratio:
            raise ValueError("min_ratio is larger than max_ratio")
        return self


class ThinningOptions(Options):
    """How cells are split into molecules that are seen and molecules that are foretold."""

    min_share: float = Field(
        0.2, gt=0, lt=1, description="least share of a cell's molecules that is kept, 0 to 1"
    )
    max_share: float = Field(
        0.8, gt=0, lt=1, description="largest share; each cell's is drawn evenly between the two"
    )
    read_tokens: int = Field(
        192,
        ge=1,
        description="genes of a cell, drawn by chance, that the Mamba2 layers read at most; the bag reads all",
    )
    study_dropout: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of the cells whose study is not known, so that an unseen one can be predicted",
    )

    @model_validator(mode="after")
    def _ordered(self) -> "ThinningOptions":
        if self.min_share > self.max_share:
            raise ValueError("min_share is larger than max_share")
        return self
