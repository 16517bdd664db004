"""Which pipelines run together, by the names that `scm run --pipeline` takes."""

from kedro.pipeline import Pipeline

from sc_mamba2.pipelines import (
    annotation,
    batch_correction,
    embedding,
    gene_network,
    multiomics,
    perturbation,
    pretraining,
    reverse_perturbation,
)
from sc_mamba2.pipelines.shared import (
    backbone_pipeline,
    ingestion_pipeline,
    tokenization_pipeline,
    validation_pipeline,
)

DEFAULT = "__default__"


def named_pipelines() -> dict[str, Pipeline]:
    """Return every pipeline by name. The bare run stops before any training."""
    reference, query = _valid_cells("reference"), _valid_cells("query")
    tokens = Pipeline(
        tokenization_pipeline(), namespace="reference", parameters={"params:tokenization"}
    )
    return {
        "ingestion": _ingested("reference"),
        "validation": reference,
        "tokenization": reference + tokens,
        "backbone": backbone_pipeline(),
        "pretraining": pretraining.create_pipeline(),
        "annotation": reference + annotation.create_pipeline(),
        "annotation_query": reference + query + annotation.create_query_pipeline(),
        "annotation_predict": query + annotation.create_prediction_pipeline(),
        "batch_correction": reference + batch_correction.create_pipeline(),
        "batch_correction_predict": reference + batch_correction.create_prediction_pipeline(),
        "perturbation": reference + perturbation.create_pipeline(),
        "perturbation_predict": reference + perturbation.create_prediction_pipeline(),
        "reverse_perturbation": reference + reverse_perturbation.create_pipeline(),
        "multiomics": multiomics.create_pipeline(),
        "multiomics_predict": multiomics.create_prediction_pipeline(),
        "gene_network": reference + gene_network.create_pipeline(),
        "embedding": embedding.create_pipeline(),
        "embedding_mapping": embedding.create_mapping_pipeline(),
        "embedding_index": embedding.create_index_pipeline(),
        "embedding_genes": embedding.create_gene_pipeline(),
        DEFAULT: reference + tokens,
    }


def _ingested(role: str) -> Pipeline:
    """From raw cells of a role (reference, query) to the standard form."""
    return Pipeline(ingestion_pipeline(), namespace=role, parameters={"params:ingestion"})


def _valid_cells(role: str) -> Pipeline:
    """From raw cells of a role to valid cells."""
    return _ingested(role) + Pipeline(
        validation_pipeline(), namespace=role, parameters={"params:validation"}
    )
