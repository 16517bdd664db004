"""Parameters of validation."""

from pydantic import Field

from sc_mamba2.pipelines.parameters import Parameters


class ValidationParams(Parameters):
    """Below what cells are refused, and below what they are only remarked on."""

    minimum_matched_share: float = Field(
        0.5, ge=0, le=1, description="share of the file's genes that the gene table must know"
    )
    minimum_genes: int = Field(50, ge=1, description="mapped genes that a file must have")
    few_genes_a_cell: int = Field(
        20, ge=0, description="cells with fewer expressed genes are counted in the report"
    )
