"""The row of `scm pretrain` in the task table: pipelines, inputs, options, and what is written."""

from pathlib import Path

from sc_mamba2.tasks.shared.row import RUN, SEED, Option, Task, compute_options

TASK = Task(
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
        *compute_options("")[1:],
        SEED,
        *(option for option in RUN if option.name != "force"),
    ),
)
