"""Parameters of tokenization."""

from typing import Literal

from pydantic import Field

from sc_mamba2.pipelines.parameters import Parameters


class TokenizationParams(Parameters):
    """Which genes become tokens, and how."""

    vocabulary: str = Field(
        "gencode-v44", description="name of a shipped vocabulary, or a checkpoint folder"
    )
    variable_genes: int | None = Field(
        2000, ge=1, description="most variable genes of the reference that are used; null: all"
    )
    n_bins: int = Field(51, ge=3, le=32767, description="value bins, with bin 0 for zero")
    max_length: int = Field(
        4096, ge=2, description="tokens a cell at most, with <cls>; the highest values are kept"
    )
    order: Literal["vocabulary", "expression"] = Field(
        "vocabulary",
        description="order of a cell's genes: the vocabulary's, or highest value first",
    )
