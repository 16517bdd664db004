"""raw cells -> cells in the standard form."""

from kedro.pipeline import Pipeline, node

from sc_mamba2.pipelines.ingestion.nodes import ingest_cells


def create_pipeline() -> Pipeline:
    """Return the pipeline; a namespace names whose cells they are (reference, query)."""
    return Pipeline(
        [
            node(
                ingest_cells,
                inputs=["raw_cells", "params:ingestion"],
                outputs=["cells", "ingestion_report"],
                name="ingest_cells",
                tags="ingestion",
            )
        ]
    )
