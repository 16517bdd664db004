"""The embedding pipelines, as tables of nodes.

`create_pipeline` embeds a file; `create_mapping_pipeline` also gives its cells types from an index;
`create_index_pipeline` makes such an index; `create_gene_pipeline` gives the vectors of the genes.
Names without a dot live in the namespace `embedding`.
"""

from kedro.pipeline import Pipeline, node

from sc_mamba2.pipelines.shared import namespaced
from sc_mamba2.tasks.embedding import nodes
from sc_mamba2.tasks.embedding.encode import encode_file
from sc_mamba2.tasks.embedding.encoder import gene_table
from sc_mamba2.tasks.embedding.mapping import map_cells
from sc_mamba2.tasks.embedding.sample import sample_cells

NAMESPACE = "embedding"
_SCORING = ("evaluation", "validation", "compute")
_DATA = {"embedded": "embedded_blocks", "encoder": "encoder", "sample": "sample"}


def create_pipeline() -> Pipeline:
    """Return the pipeline that embeds the cells of a file."""
    load = node(nodes.load_encoder, "params:options", "encoder", name="load_encoder")
    return _namespaced(Pipeline([load]) + _encode() + _conclude(mapped=False))


def create_mapping_pipeline() -> Pipeline:
    """Return the pipeline that embeds the cells of a file and gives them types from an index."""
    own = [
        node(
            nodes.load_encoder_of_index,
            ["reference", "params:options"],
            "encoder",
            name="load_encoder",
        ),
        node(map_cells, ["embedded_blocks", "reference", "params:mapping"], "calls", name="map"),
    ]
    return _namespaced(Pipeline(own) + _encode() + _conclude(mapped=True))


def create_index_pipeline() -> Pipeline:
    """Return the pipeline that makes an index of a labelled reference."""
    own = [
        node(
            nodes.load_encoder_for_labels,
            ["params:keys", "params:options"],
            "encoder",
            name="load_encoder",
        ),
        node(
            nodes.make_index,
            ["embedded_blocks", "encoder", "params:keys", "params:options", "params:mapping"],
            "index",
            name="make_index",
        ),
    ]
    return _namespaced(Pipeline(own) + _encode())


def create_gene_pipeline() -> Pipeline:
    """Return the pipeline that gives the vectors of a checkpoint's genes."""
    load = node(nodes.load_encoder, "params:options", "encoder", name="load_encoder")
    export = node(gene_table, "encoder", "genes", name="export_genes")
    return _namespaced(Pipeline([load, export]))


def _encode() -> Pipeline:
    """From a file of any size to its vectors on disk."""
    return Pipeline(
        [
            node(
                encode_file,
                {
                    "encoder": "encoder",
                    "source": "params:source",
                    "ingestion": "params:ingestion",
                    "validation": "params:validation",
                    "keys": "params:keys",
                    "options": "params:options",
                    "compute": "params:compute",
                },
                "embedded_blocks",
                name="encode_file",
                tags=["backbone", "inference"],
            )
        ]
    )


def _conclude(mapped: bool) -> Pipeline:
    """From vectors to what a person reads."""
    calls = {"calls": "calls"} if mapped else {}
    return Pipeline(
        [
            node(
                sample_cells,
                _inputs("embedded", "encoder", "options", "evaluation", "compute"),
                "sample",
                name="sample_cells",
                tags="evaluation",
            ),
            node(
                nodes.score,
                _inputs("sample", "embedded", "encoder", "run_info", *_SCORING) | calls,
                "metrics",
                name="score",
                tags="evaluation",
            ),
            node(
                nodes.write_embedded,
                _inputs("embedded", "encoder", "options", "run_info") | calls,
                "embedded",
                name="write_embedded",
            ),
            node(
                nodes.draw_figures,
                _inputs("sample", "evaluation", "compute") | calls,
                "figures",
                name="draw_figures",
                tags="reporting",
            ),
            node(
                nodes.write_report,
                ["metrics", "figures", "parameters"],
                "report",
                name="write_report",
                tags="reporting",
            ),
        ]
    )


def _inputs(*names: str) -> dict[str, str]:
    """Name the datasets behind arguments: those of `_DATA`, the run's facts, or parameters."""
    others = _DATA | {"run_info": "run_info"}
    return {name: others.get(name, f"params:{name}") for name in names}


def _namespaced(pipeline: Pipeline) -> Pipeline:
    return namespaced(pipeline, NAMESPACE, {})
