"""Run pretraining, in this process or in several started by torchrun."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from sc_mamba2.files import atomic_file
from sc_mamba2.model.options import MoleculeOptions, ObjectiveOptions
from sc_mamba2.tasks.pretraining.params import CorpusParams, LaunchParams
from sc_mamba2.tasks.shared.launch import run_processes
from sc_mamba2.tasks.shared.progress import training_progress
from sc_mamba2.tokens import MaskOptions, ThinningOptions
from sc_mamba2.training import ComputeOptions
from sc_mamba2.training.job import PretrainJob
from sc_mamba2.training.journal import read_journal
from sc_mamba2.training.options import (
    HeldOut,
    KeepOptions,
    PretrainOptions,
    SamplingOptions,
    Shape,
)
from sc_mamba2.training.run import JOURNAL, MODEL, pretrain as run_job


def pretrain(
    corpus_report: dict[str, Any],
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
    run_info: dict[str, Any],
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Pretrain, or resume an interrupted run.

    Returns
    -------
    metrics
        The last evaluation on held-out cells, with the gene means as baseline: error of masked bins, or
        nats per left-out molecule, also by study.
    history
        The journal.

    Raises
    ------
    SystemExit
        After a signal, with a checkpoint to resume from.
    """
    job = PretrainJob.build(
        store=Path(corpus_report["store"].get("folder", corpus.store)).resolve(),
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
    if launch.processes > 1:
        _run_processes(job, launch.processes)
    else:
        with training_progress("pretraining") as bar:
            finished = run_job(job, lambda taken, steps, row: bar(taken, steps))
        if finished.model is None:
            raise SystemExit(finished.exit_code)
    history = read_journal(job.run / JOURNAL)
    return _metrics(history, corpus_report, job) | {"run": run_info}, history


def _run_processes(job: PretrainJob, processes: int) -> None:
    path = job.run / "job.json"
    with atomic_file(path) as draft:
        draft.write_text(job.model_dump_json(indent=1), encoding="utf-8")
    run_processes("sc_mamba2.training.worker", path, processes)


def _metrics(
    history: pd.DataFrame, corpus_report: dict[str, Any], job: PretrainJob
) -> dict[str, Any]:
    metrics: dict[str, Any] = {
        "model": {"loss": float(history["loss"].dropna().iloc[-1])},
        "baselines": {},
        "ablations": {},
        "data": {"cells": corpus_report["store"]["cells"], "held_out": list(job.held_out.values)},
        "checkpoint": str(job.run / MODEL),
    }
    if "held_out/loss" in history:
        last = history.dropna(subset=["held_out/loss"]).iloc[-1]
        errors = {str(name).removeprefix("held_out/"): value for name, value in last.items()}
        if job.training.objective == "molecules":
            _add_molecules(metrics, errors, job.held_out.values)
        else:
            _add_bins(metrics, errors)
    return metrics


def _add_bins(metrics: dict[str, Any], errors: dict[str, float]) -> None:
    metrics["model"] |= {
        "held_out_loss": errors["loss"],
        "masked_error": errors["model"],
        "masked_error_from_cell": errors["cell"],
    }
    metrics["baselines"]["gene_mean"] = {"masked_error": errors["gene_mean"]}


def _add_molecules(
    metrics: dict[str, Any], errors: dict[str, float], studies: Iterable[str]
) -> None:
    kinds = ("plain", "posterior", "own_plain", "own_posterior")
    metrics["model"] |= {kind: errors[kind] for kind in kinds}
    metrics["baselines"]["gene_means"] = {
        f"own_{kind}": errors[f"means_{kind}"] for kind in ("plain", "posterior")
    }
    metrics["data"]["studies"] = {
        study: {kind: errors[f"{kind}/{study}"] for kind in ("own_posterior", "means_posterior")}
        for study in studies
    }
