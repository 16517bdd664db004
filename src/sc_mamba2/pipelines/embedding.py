"""The embedding pipelines: embed a file; also map types from an index; make an index; gene vectors.

Names without a dot are in the namespace `embedding`.
"""

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from sc_mamba2.pipelines.shared import namespaced, step
from sc_mamba2.tasks.embedding.baselines import sample_cells
from sc_mamba2.tasks.embedding.evaluate import score
from sc_mamba2.tasks.embedding.mapping import make_index, map_cells
from sc_mamba2.tasks.embedding.model import gene_table, load_encoder, load_encoder_for_index
from sc_mamba2.tasks.embedding.predict import encode_file, write_embedded
from sc_mamba2.tasks.embedding.report import report


def create_pipeline() -> Pipeline:
    """Return the pipeline that embeds the cells of a file."""
    return _namespaced(step(load_encoder, "params:options", "encoder"), _encode(), *_conclude())


def create_mapping_pipeline() -> Pipeline:
    """Return the pipeline that embeds the cells of a file and assigns types from an index."""
    return _namespaced(
        step(load_encoder, "params:options reference", "encoder"),
        _encode(),
        step(map_cells, "embedded_blocks reference params:mapping", "calls"),
        *_conclude("calls"),
    )


def create_index_pipeline() -> Pipeline:
    """Return the pipeline that makes an index of a labelled reference."""
    return _namespaced(
        step(load_encoder_for_index, "params:options params:keys", "encoder"),
        _encode(),
        step(
            make_index, "embedded_blocks encoder params:keys params:options params:mapping", "index"
        ),
    )


def create_gene_pipeline() -> Pipeline:
    """Return the pipeline that writes the gene vectors of a checkpoint."""
    return _namespaced(
        step(load_encoder, "params:options", "encoder"), step(gene_table, "encoder", "genes")
    )


def _encode() -> Node:
    """Return the node from a file of any size to its vectors on disk."""
    return step(
        encode_file,
        "encoder params:source params:ingestion params:validation params:keys params:options "
        "params:compute params:launch",
        "embedded_blocks",
        tags="backbone inference",
    )


def _conclude(calls: str = "") -> list[Node]:
    """Return the nodes from vectors, and types if any, to the results."""
    return [
        step(
            sample_cells,
            "embedded_blocks encoder params:options params:evaluation params:compute",
            "sample",
            tags="evaluation",
        ),
        step(
            score,
            "sample embedded_blocks encoder params:evaluation params:validation params:compute "
            f"run_info {calls}",
            "metrics",
            tags="evaluation",
        ),
        step(
            write_embedded, f"embedded_blocks encoder params:options run_info {calls}", "embedded"
        ),
        step(
            report,
            f"sample metrics params:evaluation parameters params:compute {calls}",
            "figures report",
            tags="reporting",
        ),
    ]


def _namespaced(*nodes: Node) -> Pipeline:
    return namespaced(Pipeline(nodes), "embedding", {})
