"""User options for the cells of a corpus. Imports nothing heavy."""

from pydantic import BaseModel, ConfigDict, Field


class CorpusFilters(BaseModel):
    """Filters for the cells to keep; values must match those in the file exactly.

    If a file lacks a column `tissue`, `disease` or `assay` that is filtered on, its cells cannot be shown
    to match, and all are dropped. If it lacks `is_primary_data`, they cannot be shown to be duplicates,
    and all are kept. The report names such columns.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tissue: tuple[str, ...] = Field((), description="tissues to keep; empty: all")
    disease: tuple[str, ...] = Field((), description="diseases to keep; empty: all")
    assay: tuple[str, ...] = Field((), description="assays to keep; empty: all")
    minimum_genes: int = Field(1, ge=0, description="known genes that a cell must express")
    primary_only: bool = Field(
        True,
        description="whether to drop cells with is_primary_data false: another file holds them too",
    )
    minimum_matched_share: float = Field(
        0.5, ge=0, le=1, description="minimum fraction of a file's genes known to the gene table"
    )
    minimum_matched_genes: int = Field(50, ge=1, description="minimum mapped genes per file")
