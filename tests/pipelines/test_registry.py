import pytest

from sc_mamba2.pipelines.registry import DEFAULT, named_pipelines
from sc_mamba2.tasks.embedding import encode
from sc_mamba2.tasks.shared import backbone as backbone_nodes

TRAINING = {"annotation": "annotation", "annotation_query": "annotation"}
TRAINING |= {"batch_correction": "batch_correction", "perturbation": "perturbation"}
TRAINING |= {"multiomics": "multiomics"}


@pytest.fixture(scope="module")
def pipelines():
    return named_pipelines()


def test_a_bare_run_never_trains(pipelines):
    assert not pipelines[DEFAULT].only_nodes_with_tags("training").nodes


@pytest.mark.parametrize("name", sorted(TRAINING))
def test_a_task_reuses_the_shared_functions_under_its_own_namespace(pipelines, name):
    functions = {node.name: node.func for node in pipelines[name].nodes}
    for function in ("fine_tune", "predict"):
        assert functions[f"{TRAINING[name]}.{function}"] is getattr(backbone_nodes, function)


def test_every_embedding_goes_through_the_shared_encoder():
    assert encode.encode_cells is backbone_nodes.encode_cells


@pytest.mark.parametrize(
    "name",
    [
        "annotation_predict",
        "batch_correction_predict",
        "multiomics_predict",
        "perturbation_predict",
        "reverse_perturbation",
        "gene_network",
        "denoising",
    ],
)
def test_predicting_with_a_checkpoint_trains_nothing(pipelines, name):
    assert not pipelines[name].only_nodes_with_tags("training").nodes


def test_only_sources_facts_and_parameters_come_from_outside(pipelines):
    outside = {
        "annotation": {"reference.raw_cells"},
        "annotation_query": {"reference.raw_cells", "query.raw_cells"},
        "annotation_predict": {"query.raw_cells", "annotation.checkpoint"},
        "batch_correction": {"reference.raw_cells"},
        "batch_correction_predict": {"reference.raw_cells", "batch_correction.checkpoint"},
        "perturbation": {"reference.raw_cells"},
        "perturbation_predict": {"reference.raw_cells", "perturbation.checkpoint"},
        "reverse_perturbation": {"reference.raw_cells", "perturbation.checkpoint"},
        "multiomics": set(),  # its files are parameters, since there may be several
        "multiomics_predict": {"multiomics.checkpoint"},
        "gene_network": {"reference.raw_cells"},
        "denoising": {"reference.raw_cells"},
        "embedding": set(),  # its file is a parameter, since it is never loaded
        "embedding_index": set(),
        "embedding_mapping": {"embedding.reference"},
        "embedding_genes": set(),
    }
    for name, expected in outside.items():
        found = {x for x in pipelines[name].inputs() if not x.startswith("param")}
        assert found - {"run_info"} == expected


def test_nobody_but_the_score_and_the_report_sees_the_truth(pipelines):
    readers = {
        node.name.removeprefix("annotation.")
        for node in pipelines["annotation"].nodes
        if "annotation.truth" in node.inputs
    }
    assert readers == {"score", "report"}


@pytest.mark.parametrize("task", ["batch_correction", "multiomics"])
def test_no_training_sees_the_types_of_cells_to_be_embedded(pipelines, task):
    readers = {
        node.name.removeprefix(f"{task}.")
        for node in pipelines[task].nodes
        if f"{task}.truth" in node.inputs
    }
    assert readers <= {"score", "report"}


def test_nothing_but_scores_pictures_and_the_last_measurement_sees_held_out_cells(pipelines):
    readers = {
        name: {
            node.name.removeprefix("perturbation.")
            for node in pipelines["perturbation"].nodes
            if f"perturbation.{name}" in node.inputs
        }
        for name in ("test_cells", "truth")
    }
    # `complete_model` follows the training.
    assert readers == {"test_cells": {"score", "complete_model"}, "truth": {"report"}}
