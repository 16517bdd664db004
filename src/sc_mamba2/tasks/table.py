"""The table of tasks: registry, verbs, signatures of tools, `dvc.yaml` and tables of the docs follow it.

To add an option: its parameter in the task's `params.py` and `conf/base/parameters`, and a row here.
It imports nothing heavy: `scm --help` reads it.
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
    """An option of a verb, and an argument of its tool.

    Attributes
    ----------
    name
        In Python; the verb's option has dashes.
    help
        One sentence; the default of the first parameter is added to it.
    sets
        Parameters by dotted name, with spaces between; none where the verb's own code reads it.
    kind
        str, int, bool, Path (a file that is read: relative to the folder of the call) or list.
    short, also, metavar, panel
        Of the verb: a letter; a second name; the name of an argument, which an option lacks; the box of the help.
    required
        Whether the verb needs it.
    on
        What a flag sets its parameters to.
    tool
        How the tool calls it; empty: the tool has no such argument, or one of its own.
    training
        Whether it means nothing beside a trained checkpoint.
    own_default
        Whether the default is for every file, not for the embedded cells alone, and is shown.
    hidden
        Whether the help passes it over.
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
    hidden: bool = False

    @property
    def flag(self) -> str:
        """How it is written on the command line."""
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes
    ----------
    pipeline
        Its pipeline, namespace, files of configuration and page of the docs.
    verb
        Of `scm`, and its function in `tl`.
    question
        What a person wants to know, for the tables of the docs.
    pipelines
        Every pipeline by the name that `scm run` takes, with the function of the page that makes it.
    reads
        For each of them the parameters that name what is read (cells, ``checkpoint``, ``index``), each
        with those that name columns of its obs.
    result, suffix
        The dataset that becomes the verb's output, and what its file's name ends in.
    shows
        What the verb names at its end: files of the results' folder by their word.
    options
        Of the verb and the tool.
    writes
        Keys that it adds to an AnnData.
    stage
        Words behind `scm run --pipeline NAME` in `dvc.yaml`.
    help
        Of a verb that refuses nothing particular, and so has no file in `commands`.
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
        "Layer with the expression; else the first usable matrix.",
        "ingestion.layer",
        panel=READING,
        tool="layer",
    )


_SPECIES = Option(
    "species",
    "Of the cells: human, or mouse, whose genes are read as their human partners.",
    "ingestion.species",
    panel=READING,
    tool="species",
)


def _length(parameter: str = "tokenization.max_length", training: bool = True) -> Option:
    return Option(
        "max_length",
        "Tokens a cell at most; the highest values are kept.",
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
            "Cells a batch when predicting; changes speed only.",
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
            "One thread: a seed gives one result on any number of cores.",
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
            "Processes of this machine that run the model; 0 waits for others.",
            f"{task}.launch.processes",
            int,
            panel=COMPUTING,
        ),
        Option(
            "dask",
            "Address of a Dask scheduler whose workers run it.",
            f"{task}.launch.dask_address",
            panel=COMPUTING,
        ),
    )


_SEED = Option(
    "seed", "Seed of every source of chance.", "compute.seed", int, panel=COMPUTING, tool="seed"
)
_RUN = (
    Option(
        "params", "Any parameter, as name.of.it=value; several by commas.", kind=list, panel=RUNNING
    ),
    Option("force", "Replace results that are there already.", kind=bool, panel=RUNNING),
    Option("verbose", "Show every node that runs.", kind=bool, short="v", panel=RUNNING),
)
_TRAINED = Option("checkpoint", "Trained folder; nothing is trained.", kind=Path, short="c")
_ANNOTATOR = replace(
    _TRAINED,
    help="Trained folder, or an annotator that comes along: blood, pancreas.",
    also="model",
)
_SCORED_LABELS = "Column of obs with cell types: for scores only."


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
            "Train variants of the model too, to see what its parts are worth.",
            f"{task}.ablations.names",
            bool,
            on=list(names),
            training=True,
        ),
        Option("no_ablations", "The default now; the word will go.", kind=bool, hidden=True),
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
        _cells("FILE", "Cells to embed, of any size.", required=False),
        replace(_output("The .h5ad file, or .zarr folder, to write."), required=False),
        Option(
            "checkpoint",
            "Name of a shipped checkpoint, or a folder.",
            "embedding.options.checkpoint",
            short="c",
            tool="checkpoint",
        ),
        Option("index", "Index of a labelled reference; its types are given.", "index", Path),
        Option(
            "label_key", "Column of obs to score by: types.", "embedding.keys.label_key", short="k"
        ),
        Option("batch_key", "Column of obs to score by: batches.", "embedding.keys.batch_key"),
        Option("genes", "The .parquet file for the vectors of the genes.", kind=Path),
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
            "Cells to annotate; else a held-out part of the reference.",
            "query",
            metavar="QUERY",
        ),
        _output(),
        Option(
            "reference",
            "Labelled cells to learn from.",
            "input",
            short="r",
            training=True,
            own_default=False,
        ),
        Option("label_key", "Column of obs with the cell types.", short="k"),
        Option(
            "batch_key",
            "Column of the reference's obs with batches: left out, they judge the experts.",
            "annotation.labels.batch_key",
            tool="batch_key",
            training=True,
        ),
        _ANNOTATOR,
        _start(
            "annotation", "Pretrained checkpoint: its states are experts, or a network's start."
        ),
        Option(
            "fit",
            "Who calls: consensus; gradient: with a network; network, linear, prototypes: it alone.",
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
        _cells("CELLS", "Cells of two batches or more."),
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
            "harmony; or gradient: a model is trained too, and joined.",
            "batch_correction.head.fit",
            tool="fit",
            training=True,
        ),
        _start("batch_correction", "Checkpoint whose backbone such a training begins with."),
        Option(
            "keep_candidates",
            "Write every candidate's embedding too, under its name.",
            "batch_correction.output.candidates",
            bool,
            tool="keep_candidates",
            training=True,
        ),
        Option(
            "expression",
            "Write the corrected expression too, as a layer.",
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
            "One .h5mu, or a file a modality, if need be as protein=FILE.",
            "multiomics.source.inputs",
            list,
            metavar="FILE",
            required=True,
            own_default=False,
        ),
        _output("The .h5mu file to write."),
        Option(
            "batch_key",
            "Column of obs with batches to be taken out.",
            "multiomics.keys.batch_key",
            short="b",
            tool="batch_key",
            training=True,
        ),
        Option("label_key", _SCORED_LABELS, short="k"),
        Option("held_out", "Cells that nothing is learnt from, as COLUMN=VALUE.", training=True),
        _TRAINED,
        Option("start", "Checkpoint to begin with; none: a new one.", training=True),
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
        _cells("CELLS", "Perturbed and control cells; or controls alone."),
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
            "Name of unperturbed cells in that column.",
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
            "Of what kind: knockout, crispri, crispra or chemical.",
            "perturbation.keys.kind",
            tool="kind",
            training=True,
        ),
        Option(
            "perturbation_features",
            "CSV: a row of numbers a perturbation.",
            "perturbation.keys.feature_file",
            Path,
            tool="features",
            training=True,
        ),
        Option(
            "hold_out",
            "What is scored: unseen_perturbation, unseen_combination, unseen_context or random_cells.",
            "perturbation.split.kind",
            training=True,
        ),
        _TRAINED,
        _start("perturbation", "Checkpoint whose backbone the training begins with."),
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
            "State of the cells to reach.",
            "reverse_perturbation.states.target",
            required=True,
        ),
        Option(
            "source",
            "State of the cells to begin with.",
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
        Option("candidates", "What to rank: all, or a file with a name a line."),
        Option(
            "pairs",
            "Rank every pair of the candidates too.",
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
        _cells("FILE", "Cells to look at."),
        _output("The .csv file of edges."),
        Option("genes", "Regulators: names by commas, or a file, a name a line."),
        Option(
            "reference_network",
            "File of known edges to be judged by.",
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
            "Score boosted trees beside the rest; slow.",
            "gene_network.baselines.boosting",
            bool,
        ),
        Option(
            "ablations",
            "Score an untrained model beside the trained one.",
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
        Option("genes", "These genes only: names by commas, or a file, a name a line."),
        Option(
            "impute",
            "Genes that the file lacks, by the pretrained model: names by commas, or a file.",
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

# Verbs that make what tasks start from: no tool, no stage, no page of their own.
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
# What `scm run` can run and what each reads; the last are the first steps of every task.
READS: dict[str, Mapping[str, tuple[str, ...]]] = {
    name: reads for task in EVERY_TASK for name, reads in task.reads.items()
} | {
    "ingestion": {"input": ()},
    "validation": {"input": ()},
    "tokenization": {"input": ()},
}


def parameter_model(group: str) -> "type[BaseModel]":
    """Return the parameter model of a group: one that all share, or a task's, of its folder or its one file."""
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
    """Return by dotted name what given options set; those without a value set nothing.

    Parameters
    ----------
    options
        Of a task.
    given
        Values by the options' names.
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
