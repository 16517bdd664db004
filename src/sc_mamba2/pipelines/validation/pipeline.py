"""cells -> valid cells and a report."""

from kedro.pipeline import Pipeline, node

from sc_mamba2.pipelines.validation.nodes import validate_cells


def create_pipeline() -> Pipeline:
    """Return the pipeline."""
    return Pipeline(
        [
            node(
                validate_cells,
                inputs=["cells", "ingestion_report", "params:validation"],
                outputs=["valid_cells", "validation_report"],
                name="validate_cells",
                tags="validation",
            )
        ]
    )
