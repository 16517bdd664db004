"""A row of the task table: a task and its options, and the options that tasks have in common.

The rows are in `task.py` of each task; nothing heavy is imported, since `scm --help` reads them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


def read_option() -> Option:
    return Option(
        "layer",
        "Layer with the expression; default: the first usable matrix.",
        "ingestion.layer",
        panel=READING,
        tool="layer",
    )


SPECIES = Option(
    "species",
    "human, or mouse: genes are mapped to their human orthologues.",
    "ingestion.species",
    panel=READING,
    tool="species",
)


def length_option(parameter: str = "tokenization.max_length", training: bool = True) -> Option:
    return Option(
        "max_length",
        "Maximum tokens per cell; the highest values are kept.",
        parameter,
        int,
        panel=READING,
        tool="max_length",
        training=training,
    )


def compute_options(batch_size: str) -> tuple[Option, ...]:
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


def launch_options(task: str) -> tuple[Option, ...]:
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


SEED = Option("seed", "Random seed.", "compute.seed", int, panel=COMPUTING, tool="seed")

RUN = (
    Option(
        "params",
        "Any parameter, as its.name=value; separate several by commas.",
        kind=list,
        panel=RUNNING,
    ),
    Option("force", "Overwrite existing results.", kind=bool, panel=RUNNING),
    Option("verbose", "Log every node that runs.", kind=bool, short="v", panel=RUNNING),
)

TRAINED = Option("checkpoint", "Trained folder; nothing is trained.", kind=Path, short="c")

SCORED_LABELS = "Column of obs with cell types, for scores only."


def output_option(what: str = "The .h5ad file to write.") -> Option:
    return Option("output", what, kind=Path, short="o", required=True)


def cells_option(metavar: str, help: str, required: bool = True) -> Option:
    return Option("cells", help, "input", metavar=metavar, required=required, own_default=False)


def start_option(task: str, help: str = "Pretrained checkpoint to begin with.") -> Option:
    names = f"{task}.backbone.checkpoint tokenization.vocabulary"
    return Option("start", help, names, tool="start", training=True, own_default=False)


def ablation_options(task: str, *names: str) -> tuple[Option, ...]:
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
