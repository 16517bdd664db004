"""Parameters of ingestion."""

from pydantic import Field

from sc_mamba2.pipelines.parameters import Parameters


class IngestionParams(Parameters):
    """How cells are read."""

    layer: str | None = Field(
        None, description="layer with the expression; null: the first usable matrix by fixed order"
    )
    gene_table: str = Field("gencode-v44", description="offline table of ids, symbols and aliases")
