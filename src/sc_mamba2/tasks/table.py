"""The task table, from which the registry, verbs, tool signatures, `dvc.yaml` and docs tables are made.

To add an option: its parameter in the task's `params.py` and `conf/base/parameters`, and a row here.
Nothing heavy is imported, since `scm --help` reads it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sc_mamba2.cells import keys

if TYPE_CHECKING:
    from pydantic import BaseModel

READING, COMPUTING, RUNNING = "Reading the cells", "Computing", "The run"


@dataclass(frozen=True)
class Option:
    """An option of a verb and argument of its tool.

    Attributes
    ----------
    name
        Name in Python; the verb's option has dashes.
    help
        One sentence; the default of the first parameter is appended.
    sets
        Dotted names of the parameters it sets, separated by spaces; empty if the verb's code reads it.
    kind
        str, int, bool, Path (a file to read, relative to the current folder) or list.
    short, also, metavar, panel
        For the verb: letter, second name, name of a positional argument (empty for an option), help panel.
    on
        The value that a flag sets.
    tool
        Name of the tool's argument; empty if the tool has none, or one of its own.
    training
        Whether it is used only for training, so that it is rejected with a trained checkpoint.
    own_default
        Whether the default suits any file, not only the example cells; only then it is shown.
    """

    name: str
    help: str
    sets: str = ""
    kind: type = str
    short: str = ""
    also: str = ""
    metavar: str = ""
    panel: str = ""
    required: bool = False
    on: Any = True
    tool: str = ""
    training: bool = False
    own_default: bool = True

    @property
    def flag(self) -> str:
        """The option on the command line."""
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes
    ----------
    pipeline
        Name of its pipeline, namespace, configuration files and docs page.
    verb
        Name of its `scm` command and `tl` function.
    question
        The question it answers, for the docs tables.
    pipelines
        Function that creates each pipeline, by the pipeline's name in `scm run`.
    reads
        Per pipeline, the parameters that name inputs (cells, ``checkpoint``, ``index``), each with the
        parameters that name columns of its obs.
    result, suffix
        Dataset that becomes the verb's output, and the suffix of its file.
    shows
        Files of the results folder that the verb lists at its end, by label.
    writes
        Keys that it adds to an AnnData.
    stage
        Arguments after `scm run --pipeline NAME` in `dvc.yaml`.
    help
        Help of a verb without checks of its own, and so without a file in `commands`.
    """

    pipeline: str
    verb: str
    question: str
    pipelines: Mapping[str, str]
    reads: Mapping[str, Mapping[str, tuple[str, ...]]]
    result: str
    suffix: str
    options: tuple[Option, ...]
    shows: Mapping[str, str] = field(default_factory=dict)
    writes: tuple[str, ...] = ()
    stage: str = ""
    help: str = ""


def _read() -> Option:
    return Option(
        "layer",
        "Layer with the expression; default: the first usable matrix.",
        "ingestion.layer",
        panel=READING,
        tool="layer",
    )


_SPECIES = Option(
    "species",
    "human, or mouse: genes are mapped to their human orthologues.",
    "ingestion.species",
    panel=READING,
    tool="species",
)


def _length(parameter: str = "tokenization.max_length", training: bool = True) -> Option:
    return Option(
        "max_length",
        "Maximum tokens per cell; the highest values are kept.",
        parameter,
        int,
        panel=READING,
        tool="max_length",
        training=training,
    )


def _compute(batch_size: str) -> tuple[Option, ...]:
    return (
        Option(
            "batch_size",
            "Cells per batch for prediction; affects speed only.",
            batch_size,
            int,
            panel=COMPUTING,
            tool="batch_size",
        ),
        Option(
            "device",
            "Where to compute: auto, cpu or cuda.",
            "compute.device",
            panel=COMPUTING,
            tool="device",
        ),
        Option(
            "scan_path",
            "How to scan: auto, reference, blocked or kernels.",
            "compute.scan_path",
            panel=COMPUTING,
        ),
        Option("require_kernels", "Stop unless the GPU kernels run.", kind=bool, panel=COMPUTING),
        Option(
            "deterministic",
            "Use one thread: a seed gives the same result with any number of cores.",
            "compute.deterministic",
            bool,
            panel=COMPUTING,
            tool="deterministic",
        ),
    )


def _launch(task: str) -> tuple[Option, ...]:
    return (
        Option(
            "nproc",
            "Processes on this machine that run the model; 0: wait for others.",
            f"{task}.launch.processes",
            int,
            panel=COMPUTING,
        ),
        Option(
            "dask",
            "Address of a Dask scheduler whose workers run the model.",
            f"{task}.launch.dask_address",
            panel=COMPUTING,
        ),
    )


_SEED = Option("seed", "Random seed.", "compute.seed", int, panel=COMPUTING, tool="seed")
_RUN = (
    Option(
        "params",
        "Any parameter, as its.name=value; separate several by commas.",
        kind=list,
        panel=RUNNING,
    ),
    Option("force", "Overwrite existing results.", kind=bool, panel=RUNNING),
    Option("verbose", "Log every node that runs.", kind=bool, short="v", panel=RUNNING),
)
_TRAINED = Option("checkpoint", "Trained folder; nothing is trained.", kind=Path, short="c")
_ANNOTATOR = replace(
    _TRAINED,
    help="Trained folder, or a shipped annotator: blood, pancreas.",
    also="model",
)
_SCORED_LABELS = "Column of obs with cell types, for scores only."


def _output(what: str = "The .h5ad file to write.") -> Option:
    return Option("output", what, kind=Path, short="o", required=True)


def _cells(metavar: str, help: str, required: bool = True) -> Option:
    return Option("cells", help, "input", metavar=metavar, required=required, own_default=False)


def _start(task: str, help: str = "Pretrained checkpoint to begin with.") -> Option:
    names = f"{task}.backbone.checkpoint tokenization.vocabulary"
    return Option("start", help, names, tool="start", training=True, own_default=False)


def _ablations(task: str, *names: str) -> tuple[Option, ...]:
    return (
        Option(
            "ablations",
            "Also train variants of the model, to see what each part contributes.",
            f"{task}.ablations.names",
            bool,
            on=list(names),
            training=True,
        ),
    )


_EMBEDDING_KEYS = ("embedding.keys.label_key", "embedding.keys.batch_key")

_EMBED = Task(
    pipeline="embedding",
    verb="embed",
    question="which cells are alike, in a file of any size",
    pipelines={
        "embedding": "create_pipeline",
        "embedding_mapping": "create_mapping_pipeline",
        "embedding_index": "create_index_pipeline",
        "embedding_genes": "create_gene_pipeline",
    },
    reads={
        "embedding": {"input": _EMBEDDING_KEYS},
        "embedding_mapping": {"input": _EMBEDDING_KEYS, "index": ()},
        "embedding_index": {"input": _EMBEDDING_KEYS},
        "embedding_genes": {},
    },
    result="embedded",
    suffix=".h5ad",
    options=(
        _cells("FILE", "Cells to embed; files of any size.", required=False),
        replace(_output("The .h5ad file, or .zarr folder, to write."), required=False),
        Option(
            "checkpoint",
            "Name of a shipped checkpoint, or a folder.",
            "embedding.options.checkpoint",
            short="c",
            tool="checkpoint",
        ),
        Option(
            "index", "Index of a labelled reference, to call the types of the cells.", "index", Path
        ),
        Option(
            "label_key",
            "Column of obs with cell types, for scores.",
            "embedding.keys.label_key",
            short="k",
        ),
        Option("batch_key", "Column of obs with batches, for scores.", "embedding.keys.batch_key"),
        Option("genes", "Also write the gene vectors, to this .parquet file.", kind=Path),
        _read(),
        _SPECIES,
        _length("embedding.options.max_length", training=False),
        *_compute("embedding.options.batch_size"),
        *_launch("embedding"),
        _SEED,
        *_RUN,
    ),
    writes=(
        f"obs/{keys.CELL_TYPE}",
        f"obs/{keys.CONFIDENCE}",
        f"obs/{keys.DISTANCE}",
        f"obs/{keys.UNASSIGNED}",
        f"obsm/{keys.EMBEDDING}",
        f"uns/{keys.FACTS}",
    ),
)

_ANNOTATE = Task(
    pipeline="annotation",
    verb="annotate",
    question="which type each cell is",
    pipelines={
        "annotation": "create_pipeline",
        "annotation_query": "create_query_pipeline",
        "annotation_predict": "create_prediction_pipeline",
    },
    reads={
        "annotation": {"input": ("annotation.labels.key",)},
        "annotation_query": {
            "input": ("annotation.labels.key",),
            "query": ("annotation.labels.query_key",),
        },
        "annotation_predict": {"query": ("annotation.labels.query_key",), "checkpoint": ()},
    },
    result="annotated",
    suffix=".h5ad",
    options=(
        Option(
            "query",
            "Cells to annotate; without it, a held-out part of the reference.",
            "query",
            metavar="QUERY",
        ),
        _output(),
        Option(
            "reference",
            "Labelled reference cells.",
            "input",
            short="r",
            training=True,
            own_default=False,
        ),
        Option("label_key", "Column of obs with the cell types.", short="k"),
        Option(
            "batch_key",
            "Column of the reference's obs with batches, left out in turn to weight the experts.",
            "annotation.labels.batch_key",
            tool="batch_key",
            training=True,
        ),
        _ANNOTATOR,
        _start("annotation", "Pretrained checkpoint: more experts, or where a network starts."),
        Option(
            "fit",
            "consensus; gradient: and a network; or one alone: network, linear, prototypes.",
            "annotation.head.fit",
            tool="fit",
            training=True,
        ),
        *_ablations("annotation", "readout_alone", "pooled_alone", "trunk_alone", "trunk_frozen"),
        _read(),
        _SPECIES,
        _length(),
        *_compute("annotation.predict.batch_size"),
        *_launch("annotation"),
        _SEED,
        *_RUN,
    ),
    writes=(
        f"obs/{keys.CELL_TYPE}",
        f"obs/{keys.CONFIDENCE}",
        f"obs/{keys.TYPE_SET}",
        f"obs/{keys.TYPE_PARENT}",
        f"obs/{keys.AGREEMENT}",
        f"obs/{keys.DISTANCE}",
        f"obs/{keys.UNASSIGNED}",
        f"obsm/{keys.PROBABILITY}",
        f"obsm/{keys.EXPERTS}",
        f"obsm/{keys.EMBEDDING}",
        f"uns/{keys.FACTS}",
    ),
)

_INTEGRATE = Task(
    pipeline="batch_correction",
    verb="integrate",
    question="what is left without donors or batches",
    pipelines={
        "batch_correction": "create_pipeline",
        "batch_correction_predict": "create_prediction_pipeline",
    },
    reads={
        "batch_correction": {
            "input": ("batch_correction.keys.batch_key", "batch_correction.keys.label_key")
        },
        "batch_correction_predict": {
            "input": ("batch_correction.keys.label_key",),
            "checkpoint": (),
        },
    },
    result="integrated",
    suffix=".h5ad",
    options=(
        _cells("CELLS", "Cells from two or more batches."),
        _output(),
        Option(
            "batch_key",
            "Column of obs with the batches.",
            "batch_correction.keys.batch_key",
            short="b",
            tool="batch_key",
            training=True,
            own_default=False,
        ),
        Option("label_key", _SCORED_LABELS, short="k"),
        _TRAINED,
        Option(
            "fit",
            "harmony; or gradient: also train a model, and combine both.",
            "batch_correction.head.fit",
            tool="fit",
            training=True,
        ),
        _start("batch_correction", "Checkpoint from which that training starts."),
        Option(
            "keep_candidates",
            "Also write the embedding of every candidate, under its name.",
            "batch_correction.output.candidates",
            bool,
            tool="keep_candidates",
            training=True,
        ),
        Option(
            "expression",
            "Also write the corrected expression, as a layer.",
            "batch_correction.output.expression",
            bool,
            tool="expression",
        ),
        *_ablations("batch_correction", "no_adversary", "no_domain_norm", "pooled_alone"),
        _read(),
        _SPECIES,
        _length(),
        *_compute("batch_correction.predict.batch_size"),
        _SEED,
        *_RUN,
    ),
    writes=(f"obsm/{keys.CORRECTED}", f"layers/{keys.CORRECTED_LAYER}", f"uns/{keys.FACTS}"),
)

_MULTIOME = Task(
    pipeline="multiomics",
    verb="multiome",
    question="what RNA and protein, or RNA and ATAC, say together",
    pipelines={"multiomics": "create_pipeline", "multiomics_predict": "create_prediction_pipeline"},
    reads={
        "multiomics": {
            "multiomics.source.inputs": (
                "multiomics.keys.batch_key",
                "multiomics.keys.label_key",
                "multiomics.keys.held_out_key",
            )
        },
        "multiomics_predict": {
            "multiomics.source.inputs": ("multiomics.keys.label_key",),
            "checkpoint": (),
        },
    },
    result="joint",
    suffix=".h5mu",
    options=(
        Option(
            "files",
            "One .h5mu file, or one file per modality (protein=FILE if unclear).",
            "multiomics.source.inputs",
            list,
            metavar="FILE",
            required=True,
            own_default=False,
        ),
        _output("The .h5mu file to write."),
        Option(
            "batch_key",
            "Column of obs with batches to correct for.",
            "multiomics.keys.batch_key",
            short="b",
            tool="batch_key",
            training=True,
        ),
        Option("label_key", _SCORED_LABELS, short="k"),
        Option("held_out", "Cells held out of the training, as COLUMN=VALUE.", training=True),
        _TRAINED,
        Option("start", "Checkpoint to start from; none: a new model.", training=True),
        *_ablations(
            "multiomics",
            "start_alone",
            "pooled_alone",
            "trunk_alone",
            "trunk_frozen",
            "trunk_states",
            "with_trunk",
            "no_adversary",
        ),
        _read(),
        _length(),
        *_compute("multiomics.predict.batch_size"),
        _SEED,
        *_RUN,
    ),
    writes=(
        f"obs/{keys.HELD_OUT}",
        f"obsm/{keys.JOINT}",
        f"obsm/{keys.EMBEDDING}_rna",
        f"obsm/{keys.IMPUTED}_protein",
        f"var/{keys.IMPUTED_ERROR}",
        f"uns/{keys.FACTS}",
    ),
)

_PERTURB = Task(
    pipeline="perturbation",
    verb="perturb",
    question="what a perturbation does to cells",
    pipelines={
        "perturbation": "create_pipeline",
        "perturbation_predict": "create_prediction_pipeline",
    },
    reads={
        "perturbation": {
            "input": (
                "perturbation.keys.perturbation_key",
                "perturbation.keys.dose_key",
                "perturbation.keys.context_key",
                "perturbation.keys.time_key",
            )
        },
        "perturbation_predict": {"input": (), "checkpoint": ()},
    },
    result="predicted_cells",
    suffix=".h5ad",
    shows={"genes": "genes.csv"},
    options=(
        _cells("CELLS", "Perturbed and control cells; or, with a checkpoint, controls only."),
        _output(),
        Option(
            "perturbation",
            "What to predict: GENE, or A+B.",
            "perturbation.population.perturbation",
            short="p",
        ),
        Option(
            "perturbation_key",
            "Column of obs with the perturbations.",
            "perturbation.keys.perturbation_key",
            short="k",
            tool="perturbation_key",
            training=True,
        ),
        Option(
            "control",
            "Label of the unperturbed cells in that column.",
            "perturbation.keys.control",
            tool="control",
            training=True,
        ),
        Option(
            "context_key",
            "Column of obs with cell types, lines or batches.",
            "perturbation.keys.context_key",
            tool="context_key",
            training=True,
        ),
        Option(
            "kind",
            "knockout, crispri, crispra or chemical.",
            "perturbation.keys.kind",
            tool="kind",
            training=True,
        ),
        Option(
            "perturbation_features",
            "CSV file with one row of numbers per perturbation.",
            "perturbation.keys.feature_file",
            Path,
            tool="features",
            training=True,
        ),
        Option(
            "hold_out",
            "Held out for scores: unseen_perturbation, unseen_combination, unseen_context, random_cells.",
            "perturbation.split.kind",
            training=True,
        ),
        _TRAINED,
        _start("perturbation", "Checkpoint from which the training starts."),
        *_ablations(
            "perturbation",
            "start_alone",
            "trunk_alone",
            "trunk_frozen",
            "no_perturbation_embedding",
            "no_own_gene",
        ),
        _read(),
        _length(),
        *_compute("perturbation.predict.batch_size"),
        _SEED,
        *_RUN,
    ),
    writes=(f"layers/{keys.PREDICTED}", f"var/{keys.PREDICTED}", f"uns/{keys.FACTS}"),
    stage="--input simulated:perturbations",
)

_REVERSE = Task(
    pipeline="reverse_perturbation",
    verb="reverse",
    question="which perturbation leads to a state",
    pipelines={"reverse_perturbation": "create_pipeline"},
    reads={
        "reverse_perturbation": {
            "input": ("reverse_perturbation.states.state_key",),
            "checkpoint": (),
        }
    },
    result="ranking",
    suffix=".csv",
    options=(
        _cells("CELLS", "Cells of both states."),
        _output("The .csv file to write."),
        Option(
            "checkpoint", "Folder that `scm perturb` trained.", kind=Path, short="c", required=True
        ),
        Option(
            "target",
            "State to reach.",
            "reverse_perturbation.states.target",
            required=True,
        ),
        Option(
            "source",
            "State to start from.",
            "reverse_perturbation.states.source",
            tool="source",
        ),
        Option(
            "state_key",
            "Column of obs with the states.",
            "reverse_perturbation.states.state_key",
            short="k",
            tool="state_key",
        ),
        Option("candidates", "What to rank: all, or a file with one name per line."),
        Option(
            "pairs",
            "Also rank every pair of candidates.",
            "reverse_perturbation.candidates.pairs",
            bool,
            tool="pairs",
        ),
        _read(),
        _SEED,
        *_RUN,
    ),
    stage="--input simulated:perturbations --params checkpoint=data/06_models/perturbation,"
    "reverse_perturbation.states.target=SDF4",
)

_NETWORK = Task(
    pipeline="gene_network",
    verb="network",
    question="which genes regulate which",
    pipelines={"gene_network": "create_pipeline"},
    reads={"gene_network": {"input": ()}},
    result="edges",
    suffix=".csv",
    options=(
        _cells("FILE", "Cells to infer the network from."),
        _output("The .csv file of edges."),
        Option("genes", "Regulators: comma-separated names, or a file with one per line."),
        Option(
            "reference_network",
            "File of known edges to compare with.",
            "gene_network.reference.reference_network",
            Path,
            tool="reference_network",
        ),
        Option(
            "checkpoint",
            "Name of a shipped checkpoint, or a folder.",
            "gene_network.scoring.checkpoint",
            short="c",
            tool="checkpoint",
        ),
        Option(
            "boosting",
            "Also score boosted trees (slow).",
            "gene_network.baselines.boosting",
            bool,
        ),
        Option(
            "ablations",
            "Also score an untrained model.",
            "gene_network.baselines.untrained",
            bool,
        ),
        _read(),
        _SPECIES,
        *_compute("gene_network.scoring.batch_size"),
        _SEED,
        *_RUN,
    ),
)

_DENOISE = Task(
    pipeline="denoising",
    verb="denoise",
    question="what a cell expresses without the chance of counting",
    pipelines={"denoising": "create_pipeline"},
    reads={"denoising": {"input": ()}},
    result="denoised",
    suffix=".h5ad",
    options=(
        _cells("CELLS", "Cells with counts."),
        _output(),
        Option("genes", "Only these genes: comma-separated names, or a file with one per line."),
        Option(
            "impute",
            "Impute genes that the file lacks: comma-separated names, or a file.",
        ),
        _read(),
        _SPECIES,
        _SEED,
        *_RUN,
    ),
    writes=(
        f"layers/{keys.DENOISED}",
        f"obsm/{keys.DENOISED}",
        f"obsm/{keys.IMPUTED}",
        f"var/{keys.DENOISED}",
        f"uns/{keys.FACTS}",
    ),
)

TASKS = {
    task.verb: task
    for task in (_ANNOTATE, _EMBED, _INTEGRATE, _PERTURB, _REVERSE, _MULTIOME, _NETWORK, _DENOISE)
}

# Verbs that prepare inputs of tasks: without a tool, stage or page of their own.
INDEX = replace(
    _EMBED,
    verb="index",
    result="index",
    options=(
        Option(
            "reference", "Labelled cells.", "input", metavar="REF", required=True, own_default=False
        ),
        _output("The folder to write."),
        Option(
            "label_key",
            "Column of obs with the cell types.",
            "embedding.keys.label_key",
            short="k",
            required=True,
        ),
        Option(
            "batch_key",
            "Column of obs with studies, donors or batches: left out in turn for the limit.",
            "embedding.keys.batch_key",
            short="b",
        ),
        *(o for o in _EMBED.options if o.name == "checkpoint" or o.panel),
    ),
)
PRETRAIN = Task(
    pipeline="pretraining",
    verb="pretrain",
    question="what can be learnt from unlabelled cells",
    pipelines={"pretraining": "create_pipeline"},
    reads={"pretraining": {"pretraining.corpus.sources": ()}},
    result="metrics",
    suffix="",
    options=(
        Option(
            "sources",
            "Files, folders, globs, lists; else the project's input.",
            kind=list,
            metavar="SOURCE",
        ),
        Option("env", "Environment of conf/: test, gpu or local.", short="e"),
        Option("run", "Folder of the run.", "pretraining.launch.run", Path),
        Option(
            "nproc",
            "Processes of this machine that train together.",
            "pretraining.launch.processes",
            int,
        ),
        Option("steps", "Optimizer steps.", "pretraining.training.steps", int),
        Option(
            "preset", "Shape of the model: micro, tiny, small or base.", "pretraining.shape.preset"
        ),
        *_compute("")[1:],
        _SEED,
        *(option for option in _RUN if option.name != "force"),
    ),
)

EVERY_TASK = (*TASKS.values(), PRETRAIN)
# The pipelines of `scm run` and the inputs of each; the last three are the first steps of every task.
READS: dict[str, Mapping[str, tuple[str, ...]]] = {
    name: reads for task in EVERY_TASK for name, reads in task.reads.items()
} | {
    "ingestion": {"input": ()},
    "validation": {"input": ()},
    "tokenization": {"input": ()},
}


def parameter_model(group: str) -> "type[BaseModel]":
    """Return the parameter model of a group, shared or of one task (a package or a single module)."""
    from sc_mamba2.tasks.shared.params import SHARED_GROUPS

    if group in SHARED_GROUPS:
        return SHARED_GROUPS[group]
    room = "perturbation.reverse" if group == "reverse_perturbation" else group
    name = group.title().replace("_", "") + "Params"
    place = f"sc_mamba2.tasks.{room}"
    spec = find_spec(place)
    own = spec is not None and spec.submodule_search_locations is not None
    model: type[BaseModel] = getattr(import_module(f"{place}.params" if own else place), name)
    return model


def changed_parameters(options: Iterable[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that options set, by dotted name; options without a value set nothing.

    Parameters
    ----------
    options
        Options of a task.
    given
        Values by option name.
    """
    found: dict[str, Any] = {}
    for option in options:
        value = given.get(option.name)
        if value is None or value is False or value == []:
            continue
        for name in option.sets.split():
            found[name] = option.on if option.kind is bool else _plain(value)
    return found


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
