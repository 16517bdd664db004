"""Which pipelines run together, by the names that `scm run --pipeline` takes."""

from kedro.pipeline import Pipeline

from sc_mamba2.pipelines import (
    annotation,
    backbone,
    batch_correction,
    embedding,
    gene_network,
    ingestion,
    multiomics,
    perturbation,
    pretraining,
    reverse_perturbation,
    tokenization,
    validation,
)
from sc_mamba2.pipelines.annotation.pipeline import (
    create_prediction_pipeline,
    create_query_pipeline,
)
from sc_mamba2.pipelines.batch_correction.pipeline import (
    create_prediction_pipeline as create_correction_prediction,
)
from sc_mamba2.pipelines.embedding.pipeline import (
    create_gene_pipeline,
    create_index_pipeline,
    create_mapping_pipeline,
)
from sc_mamba2.pipelines.multiomics.pipeline import (
    create_prediction_pipeline as create_joint_prediction,
)
from sc_mamba2.pipelines.perturbation.pipeline import (
    create_prediction_pipeline as create_perturbation_prediction,
)

DEFAULT = "__default__"


def named_pipelines() -> dict[str, Pipeline]:
    """Return every pipeline by name. The bare run stops before any training."""
    reference, query = _valid_cells("reference"), _valid_cells("query")
    tokens = Pipeline(
        tokenization.create_pipeline(), namespace="reference", parameters={"params:tokenization"}
    )
    return {
        "ingestion": _ingested("reference"),
        "validation": reference,
        "tokenization": reference + tokens,
        "backbone": backbone.create_pipeline(),
        "pretraining": pretraining.create_pipeline(),
        "annotation": reference + annotation.create_pipeline(),
        "annotation_query": reference + query + create_query_pipeline(),
        "annotation_predict": query + create_prediction_pipeline(),
        "batch_correction": reference + batch_correction.create_pipeline(),
        "batch_correction_predict": reference + create_correction_prediction(),
        "perturbation": reference + perturbation.create_pipeline(),
        "perturbation_predict": reference + create_perturbation_prediction(),
        "reverse_perturbation": reference + reverse_perturbation.create_pipeline(),
        "multiomics": multiomics.create_pipeline(),
        "multiomics_predict": create_joint_prediction(),
        "gene_network": reference + gene_network.create_pipeline(),
        "embedding": embedding.create_pipeline(),
        "embedding_mapping": create_mapping_pipeline(),
        "embedding_index": create_index_pipeline(),
        "embedding_genes": create_gene_pipeline(),
        DEFAULT: reference + tokens,
    }


def _ingested(role: str) -> Pipeline:
    """From raw cells of a role (reference, query) to the standard form."""
    return Pipeline(ingestion.create_pipeline(), namespace=role, parameters={"params:ingestion"})


def _valid_cells(role: str) -> Pipeline:
    """From raw cells of a role to valid cells."""
    return _ingested(role) + Pipeline(
        validation.create_pipeline(), namespace=role, parameters={"params:validation"}
    )
