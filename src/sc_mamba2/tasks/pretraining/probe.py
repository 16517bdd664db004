"""Probe of corpus and pretraining: check all files, tokenize some cells, and take a few steps."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sc_mamba2.model.options import MoleculeOptions, ObjectiveOptions
from sc_mamba2.tasks.pretraining.corpus import sample_corpus
from sc_mamba2.tasks.pretraining.params import CorpusParams, LaunchParams
from sc_mamba2.tasks.shared.probe import count_parameters
from sc_mamba2.tasks.shared.work import PROBED_STEPS, Clock, TokenCount, Work, count_tokens
from sc_mamba2.tokens import MaskOptions, ThinningOptions, TokenStore
from sc_mamba2.training import ComputeOptions, choose_device
from sc_mamba2.training.job import PretrainJob
from sc_mamba2.training.machine import peak_bytes, state_bytes
from sc_mamba2.training.options import (
    HeldOut,
    KeepOptions,
    PretrainOptions,
    SamplingOptions,
    Shape,
)
from sc_mamba2.training.run import try_steps

_SAMPLE = 4096  # cells of the corpus to tokenize


def probe_pretraining(
    corpus: CorpusParams,
    launch: LaunchParams,
    shape: Shape,
    masks: MaskOptions,
    sampling: SamplingOptions,
    objective: ObjectiveOptions,
    thinning: ThinningOptions,
    molecules: MoleculeOptions,
    training: PretrainOptions,
    held_out: HeldOut,
    keep: KeepOptions,
    compute: ComputeOptions,
) -> Work:
    """Take the first steps of pretraining on a sample of its corpus, in one process.

    The sample is written to a temporary folder and removed. The time is that of the steps only, without
    making the corpus and evaluating held-out cells.
    """
    with TemporaryDirectory(prefix="scm-") as folder:
        report, store = sample_corpus(corpus, Path(folder), _SAMPLE)
        tokens = _count(report, TokenStore.open(store), corpus.max_length)
        job = PretrainJob.build(
            store=store.resolve(),
            run=Path(launch.run).resolve(),
            shape=shape,
            masks=masks,
            sampling=sampling,
            objective=objective,
            thinning=thinning,
            molecules=molecules,
            training=training,
            held_out=held_out,
            keep=keep,
            compute=compute,
        )
        clock = Clock()
        model = try_steps(job, PROBED_STEPS, clock.note)
    return Work(
        name="pretraining",
        steps=training.steps,
        step=f"{training.batch_size:,} cells",
        probed=clock.taken,
        seconds_a_step=clock.seconds_a_step,
        seconds=training.steps * clock.seconds_a_step,
        tokens={"corpus": tokens},
        parameters=count_parameters(model),
        trained=count_parameters(model, trained=True),
        state_bytes=state_bytes(model),
        peak_bytes=peak_bytes(choose_device(compute.device)),
        facts={
            "times each cell is seen": round(
                training.steps * training.batch_size / tokens.cells, 2
            ),
            "processes": launch.processes,
        },
        reports={"corpus": report["total"]},
        writes=(Path(corpus.store).resolve(), job.run),
    )


def _count(report: dict[str, Any], sample: TokenStore, limit: int) -> TokenCount:
    """Estimate the tokens of a corpus from the sample of each file."""
    if "store" in report:
        return count_tokens(sample.lengths, limit)
    files = [
        count_tokens(TokenStore.open(row["result"]).lengths, limit, row["kept"])
        for row in report["files"]
        if row["result"]
    ]
    return replace(
        count_tokens(sample.lengths, limit),
        cells=sum(file.cells for file in files),
        tokens=sum(file.tokens for file in files),
        at_limit=sum(file.at_limit for file in files),
    )
