"""What is refused before Kedro is loaded, by the table that says what each pipeline reads."""

import pytest
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog
from tests.checkpoints import write_random_checkpoint

from sc_mamba2.cells import simulate_cells
from sc_mamba2.errors import UserError
from sc_mamba2.pipelines.registry import DEFAULT, named_pipelines
from sc_mamba2.runs.configuration import (
    CONFIG_LOADER,
    load_configuration,
    read_globals,
    read_parameters,
    shipped_conf,
)
from sc_mamba2.runs.preflight import _remark_unused, check_cells, check_run
from sc_mamba2.runs.selection import Selection, nest
from sc_mamba2.tasks.shared.parameters import flatten
from sc_mamba2.tasks.table import READS

CELLS = {"input", "query", "multiomics.source.inputs", "pretraining.corpus.sources"}


def check(pipeline: str, **more: object) -> str | None:
    params = nest({name.replace("__", "."): value for name, value in more.items()})
    selection = Selection(pipelines=(pipeline,), params=params)
    return check_run(selection, shipped_conf(), "test")


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    path = tmp_path_factory.mktemp("cells") / "cells.h5ad"
    simulate_cells(cells=20).write_h5ad(path)
    return str(path)


def test_a_configuration_of_one_task_alone_is_no_fault(caplog):
    _remark_unused({"embedding.options.checkpoint": "scm-tiny"}, {})
    assert not caplog.records


def test_the_table_names_every_pipeline():
    assert READS.keys() == named_pipelines().keys() - {DEFAULT}


@pytest.mark.parametrize("source", ["input", "query", "checkpoint", "index"])
def test_the_table_says_what_every_pipeline_reads(source):
    """By the catalog: a source that is set for the run reaches one of the pipeline's inputs."""
    given = {source: f"the {source}"}
    loader = OmegaConfigLoader(str(shipped_conf()), "base", given, **CONFIG_LOADER)
    catalog, parameters = DataCatalog.from_config(loader["catalog"]), flatten(loader["parameters"])
    own = "pretraining.corpus.sources" if source == "input" else source
    for name, pipeline in named_pipelines().items():
        places = []
        for one in pipeline.inputs():
            if one.startswith("params:"):
                group = one.removeprefix("params:") + "."
                places += [value for n, value in parameters.items() if n.startswith(group)]
            elif (dataset := catalog.get(one)) is not None:
                places.append(
                    getattr(dataset, "source", None) or getattr(dataset, "filepath", None)
                )
        reached = any(f"the {source}" in str(place) for place in places)
        assert name == DEFAULT or reached == bool({source, own} & READS[name].keys()), name


def test_the_table_names_parameters_that_there_are():
    known = flatten(read_parameters(shipped_conf(), "base"))
    for reads in READS.values():
        assert all(column in known for columns in reads.values() for column in columns)


@pytest.mark.parametrize("env", ["base", "test", "gpu"])
def test_the_files_are_read_as_kedro_reads_them(env):
    loader = load_configuration(shipped_conf(), env)
    for found, expected in (
        (flatten(read_parameters(shipped_conf(), env)), flatten(loader["parameters"])),
        (read_globals(shipped_conf(), env), dict(loader["globals"])),
    ):
        assert found.keys() == expected.keys()
        for name, value in found.items():
            assert value == expected[name] or "${" in str(value), name


COLUMNS = {
    (pipeline, source, column)
    for pipeline, reads in READS.items()
    for source, columns in reads.items()
    if source in CELLS and "checkpoint" not in reads
    for column in columns
}


@pytest.mark.parametrize(("pipeline", "source", "column"), sorted(COLUMNS))
def test_every_column_is_looked_up(cells, pipeline, source, column):
    """Each of every pipeline, in a file in which the others are."""
    others = {one: "cell_type" for p, s, one in COLUMNS if p == pipeline and one != column}
    sources = {s: cells for p, s, _ in COLUMNS if p == pipeline}
    if source == "multiomics.source.inputs":
        sources = {source: [f"rna={cells}", f"protein={cells}"]}
    check(pipeline, **sources, **others | {column: "cell_type"})
    with pytest.raises(UserError, match=r"-missing\].*no column 'celltype'.*'cell_type'"):
        check(pipeline, **sources, **others | {column: "celltype"})


@pytest.mark.parametrize("layer", ["X", "raw", "raw.X"])
def test_a_matrix_that_is_no_layer_is_left_to_the_readers(cells, layer):
    check("validation", input=cells, ingestion__layer=layer)
    with pytest.raises(UserError, match="layer-missing"):
        check("validation", input=cells, ingestion__layer=layer + "2")


def test_a_list_of_sources_is_left_to_the_run(tmp_path):
    (tmp_path / "list.txt").write_text("a.h5ad\nb.h5ad\n")
    check("pretraining", pretraining__corpus__sources=[str(tmp_path / "list.txt")])


def test_a_part_of_the_graph_may_read_nothing():
    part = Selection(
        pipelines=("annotation",), params={"input": "no.h5ad"}, from_nodes=("annotation.report",)
    )
    assert check_run(part, shipped_conf(), "test") == "test"
    with pytest.raises(UserError, match="file-missing"):
        check("annotation", input="no.h5ad")


@pytest.mark.parametrize(
    ("pipeline", "params", "rule"),
    {
        "a backbone": ("annotation", {"annotation.backbone.checkpoint": "scm-tinny"}, "scm-tiny"),
        "a vocabulary": ("annotation", {"tokenization.vocabulary": "gencode-v4"}, "gencode-v44"),
        "a vocabulary of a checkpoint": (
            "annotation",
            {"tokenization.vocabulary": "scm-tinny"},
            "scm-tiny",
        ),
        "features": ("perturbation", {"perturbation.keys.features": "scm_tiny"}, "scm-tiny"),
        "an encoder": ("embedding", {"embedding.options.checkpoint": "scmtiny"}, "scm-tiny"),
        "a scorer": ("gene_network", {"gene_network.scoring.checkpoint": "tiny"}, "scm-tiny"),
        "a start": ("multiomics", {"multiomics.backbone.checkpoint": "scm-tin"}, "scm-tiny"),
        "a preset": ("annotation", {"annotation.backbone.preset": "mcro"}, "'micro'"),
        "no checkpoint": ("annotation_predict", {"query": "simulated:three-types"}, "no checkpo"),
        "an index": ("embedding_mapping", {"index": "nowhere"}, "index-folder"),
        "a literal": ("annotation", {"annotation.head.fit": "linea"}, "parameter-invalid"),
        "a bound": ("embedding", {"embedding.options.batch_size": 0}, "parameter-invalid"),
        "a group": ("embedding", {"embedding.option.batch_size": 2}, "options.batch_size"),
        "together": (
            "pretraining",
            {"pretraining.masks.min_ratio": 0.9},
            "min_ratio is larger",
        ),
        "a network": (
            "gene_network",
            {"gene_network.reference.reference_network": "no.csv"},
            "reference-network",
        ),
        "regulators": ("gene_network", {"gene_network.genes.regulators": "no.txt"}, "regulators-f"),
        "features of a person": (
            "perturbation",
            {"perturbation.keys.feature_file": "no.csv"},
            "feature-file",
        ),
        "candidates": (
            "reverse_perturbation",
            {"reverse_perturbation.candidates.candidates": "no.txt"},
            "candidates-file",
        ),
    }.values(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_names_and_values_that_there_are_not(pipeline, params, rule):
    with pytest.raises(UserError, match=rule):
        check(pipeline, **params)


def test_a_checkpoint_beside_is_the_nearest_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_random_checkpoint(tmp_path / "blood")
    check("embedding", embedding__options__checkpoint="blood")
    with pytest.raises(UserError, match="did you mean 'blood'"):
        check("embedding", embedding__options__checkpoint="bood")


def test_a_checkpoint_of_another_task_says_what_it_is_for(tmp_path):
    folder = write_random_checkpoint(tmp_path / "blood")
    with pytest.raises(UserError, match=r"checkpoint-task.*'pretrained'.*--start"):
        check("annotation_predict", query="simulated:three-types", checkpoint=str(folder))


def test_a_table_without_columns_is_left_to_the_readers(tmp_path):
    """It may hold genes in the place of cells, which they say."""
    cells = simulate_cells(cells=20)
    cells.obs = cells.obs[[]]
    cells.write_h5ad(tmp_path / "bare.h5ad")
    check("annotation", input=str(tmp_path / "bare.h5ad"), annotation__labels__key="cell_type")


def test_the_file_that_lacks_a_column_is_named(tmp_path):
    """Of a query and a reference, a person must know which."""
    simulate_cells(20, 30).write_h5ad(tmp_path / "ref.h5ad")
    with pytest.raises(UserError, match=r"no column 'typ' in obs of 'ref\.h5ad'"):
        check_cells([str(tmp_path / "ref.h5ad")], {"typ": "annotation.labels.key"})
