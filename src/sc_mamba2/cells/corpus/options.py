"""What a person may choose about the cells of a corpus. It imports nothing heavy."""

from pydantic import BaseModel, ConfigDict, Field


class CorpusFilters(BaseModel):
    """What a cell must be to be kept; values must be equal to those of the file.

    Where a file has no column `tissue`, `disease` or `assay` that a filter names, nothing says that
    its cells are meant, and all are dropped. Where it has no `is_primary_data`, nothing says that
    they stand elsewhere too, and all are kept. The report names such columns.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tissue: tuple[str, ...] = Field((), description="tissues that are kept; empty: all")
    disease: tuple[str, ...] = Field((), description="diseases that are kept; empty: all")
    assay: tuple[str, ...] = Field((), description="assays that are kept; empty: all")
    minimum_genes: int = Field(1, ge=0, description="expressed known genes that a cell must have")
    primary_only: bool = Field(
        True, description="drop cells with is_primary_data false: another file holds them too"
    )
    minimum_matched_share: float = Field(
        0.5, ge=0, le=1, description="share of a file's genes that the gene table must know"
    )
    minimum_matched_genes: int = Field(50, ge=1, description="mapped genes that a file must have")
