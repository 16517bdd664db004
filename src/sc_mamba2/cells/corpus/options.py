"""User options for the cells of a corpus. Imports nothing heavy."""

from pydantic import BaseModel, ConfigDict, Field


class CorpusFilters(BaseModel):
    """Requirements for a cell to be kept; values must equal those in the file.

    If a file lacks a column `tissue`, `disease` or `assay` that a filter names, nothing shows that its
    cells match, and all are dropped. If it lacks `is_primary_data`, nothing shows that they are in other
    files too, and all are kept. The report names such columns.
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
