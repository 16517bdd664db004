"""Adapters beside full fine-tuning and a frozen backbone: what each reaches and what each costs.

    python benchmarks/lora.py [--seeds 0 1 2] [--presets micro tiny small] [--checkpoint FOLDER] [--epochs 30]

Quality: annotation of held-out cells of `scanpy:pbmc68k_reduced` in every mode, with the preset of the
defaults or a checkpoint. Cost: a few steps of every preset in every mode. Writes `results/lora.json`
and `results/lora.md`. The functions are the nodes of the annotation pipeline.
"""

import argparse
import copy
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine
from memory import extra_memory

from sc_mamba2.cells import read_cells
from sc_mamba2.metrics.classification import classification_metrics
from sc_mamba2.model import Backbone, add_adapters
from sc_mamba2.tasks.annotation.annotator import LABEL
from sc_mamba2.tasks.annotation.fit import attach_head, split_validation
from sc_mamba2.tasks.annotation.model import AnnotationModel
from sc_mamba2.tasks.annotation.params import HeadParams, LabelParams
from sc_mamba2.tasks.annotation.split import hold_out
from sc_mamba2.tasks.shared.backbone import fine_tune, load_or_build_backbone, predict
from sc_mamba2.tasks.shared.params import (
    BackboneParams,
    FineTuneParams,
    IngestionParams,
    PredictParams,
    TokenizationParams,
)
from sc_mamba2.tasks.shared.tokenization import fit_tokenizer, tokenize_cells
from sc_mamba2.tasks.shared.validation import ingest_cells
from sc_mamba2.tokens import TokenizedCells, Tokenizer, make_batch
from sc_mamba2.training import ComputeOptions

RESULTS = Path(__file__).parent / "results"
MODES = ("full", "lora", "frozen")
LABELS = LabelParams(key="bulk_labels")
COST_CELLS, COST_STEPS = 8, 3


@dataclass(frozen=True)
class Prepared:
    """One split of the cells, tokenised, and the truth of the held-out ones."""

    tokenizer: Tokenizer
    training: TokenizedCells
    validation: TokenizedCells
    query: TokenizedCells
    truth: np.ndarray
    compute: ComputeOptions


def prepare(seed: int, checkpoint: str | None) -> Prepared:
    """Read, split and tokenise, with the vocabulary of the checkpoint where there is one."""
    cells, _ = ingest_cells(read_cells("scanpy:pbmc68k_reduced"), IngestionParams())
    compute = ComputeOptions(seed=seed, device="cpu")
    training_cells, query_cells, truth = hold_out(cells, LABELS, compute)
    params = TokenizationParams(**({"vocabulary": checkpoint} if checkpoint else {}))
    tokenizer = fit_tokenizer(training_cells, query_cells, params)
    labelled = tokenize_cells(training_cells, tokenizer)
    training, validation = split_validation(labelled, LABELS, compute)
    query = tokenize_cells(query_cells, tokenizer)
    return Prepared(tokenizer, training, validation, query, truth[LABEL].to_numpy(), compute)


def new_model(parts: Prepared, params: BackboneParams) -> AnnotationModel:
    """Build the untrained model; the same for every mode of a seed."""
    backbone = load_or_build_backbone(parts.tokenizer, parts.training, params, parts.compute)
    head = (HeadParams(), LABELS, parts.compute)
    return attach_head(backbone, parts.tokenizer, parts.training, *head)


def quality(mode: str, parts: Prepared, params: BackboneParams, epochs: int) -> dict[str, Any]:
    """Fine-tune in one mode; return its scores on the held-out cells, and time and memory."""
    model = new_model(parts, params)
    options = FineTuneParams(mode=mode, max_epochs=epochs)
    found: list[Any] = []
    started = time.process_time()
    memory, seconds = extra_memory(
        lambda: found.extend(
            fine_tune(model, parts.training, parts.validation, options, parts.compute)
        )
    )
    cpu_seconds = time.process_time() - started
    trained, history = found
    outputs = predict(trained, parts.query, PredictParams(), parts.compute)
    called = np.asarray(trained.labels)[outputs["probability"].argmax(axis=1)]
    scores = classification_metrics(parts.truth, called)
    return {
        "mode": mode,
        "seed": parts.compute.seed,
        "accuracy": scores["accuracy"],
        "macro_f1": scores["macro_f1"],
        "validation_loss": float(history["validation_loss"].min()),
        "epochs": len(history),
        "seconds": round(seconds, 1),
        "cpu_seconds_an_epoch": round(cpu_seconds / len(history), 2),
        "extra_memory_mib": round(memory / 2**20, 1),
    }


def cost(mode: str, parts: Prepared, params: BackboneParams) -> dict[str, Any]:
    """Take a few steps in one mode; count what is trained and what gradient and optimizer hold."""
    model = new_model(parts, params)
    everything = _numbers(model.parameters())
    options = FineTuneParams(mode=mode)
    _open(model.backbone, options)
    optimizer = torch.optim.AdamW(model.parameter_groups(1e-3, 0.01))
    vocabulary = parts.tokenizer.vocabulary
    batch = make_batch(parts.training, np.arange(COST_CELLS), vocabulary)
    targets = {name: all_[:COST_CELLS] for name, all_ in model.targets(parts.training.obs).items()}

    def steps() -> None:
        for _ in range(COST_STEPS):
            optimizer.zero_grad(set_to_none=True)
            model.train().loss(batch, targets).backward()
            optimizer.step()

    started = time.process_time()
    memory, _ = extra_memory(steps)
    cpu_seconds = (time.process_time() - started) / COST_STEPS
    trained = [weight for weight in model.parameters() if weight.grad is not None]
    in_backbone = [weight for weight in model.backbone.parameters() if weight.grad is not None]
    return {
        "mode": mode,
        "preset": params.preset,
        "parameters": everything,
        "trained": _numbers(trained),
        "trained_in_backbone": _numbers(in_backbone),
        "gradient_optimizer_bytes": _kept(optimizer, trained),
        "gradient_optimizer_bytes_of_backbone": _kept(optimizer, in_backbone),
        "extra_memory_mib": round(memory / 2**20, 1),
        "cpu_seconds_a_step": round(cpu_seconds, 3),
    }


def _open(backbone: Backbone, options: FineTuneParams) -> None:
    if options.mode == "lora":
        add_adapters(backbone, options.lora_rank, options.lora_alpha)
    elif options.mode == "frozen":
        backbone.requires_grad_(False)


def _numbers(weights: Any) -> int:
    return sum(weight.numel() for weight in weights)


def _kept(optimizer: torch.optim.Optimizer, weights: list[torch.nn.Parameter]) -> int:
    """Count the bytes of the gradients and of the optimizer's moments of some weights."""
    moments = [part for weight in weights for part in optimizer.state[weight].values()]
    gradients = [weight.grad for weight in weights]
    return sum(tensor.numel() * tensor.element_size() for tensor in (*gradients, *moments))


def markdown(record: dict[str, Any]) -> str:
    """Return the tables of what has been measured."""
    parts = [_cost_table(record)] if record["cost"] else []
    return "\n".join([*parts, _quality_table(record)] if record["quality"] else parts)


def _quality_table(record: dict[str, Any]) -> str:
    seeds = {run["seed"] for run in record["quality"]}
    lines = [
        f"### held-out cells of `scanpy:pbmc68k_reduced`, start: {record['start']}, "
        f"{len(seeds)} seeds, mean ± standard deviation\n",
        "| mode | accuracy | macro F1 | validation loss | epochs | CPU seconds an epoch | extra memory, MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    columns = ("accuracy", "macro_f1", "validation_loss")
    means = ("epochs", "cpu_seconds_an_epoch", "extra_memory_mib")
    for mode in MODES:
        runs = [run for run in record["quality"] if run["mode"] == mode]
        if runs:
            cells = [_spread([run[name] for run in runs]) for name in columns]
            cells += [f"{np.mean([run[name] for run in runs]):.1f}" for name in means]
            lines.append(f"| `{mode}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cost_table(record: dict[str, Any]) -> str:
    lines = [
        f"### a step of {COST_CELLS} cells\n",
        "| preset, mode | trained, of all parameters | in the backbone alone | gradient + optimizer, MiB "
        "| of `full` | in the backbone alone, of `full` | extra memory, MiB | CPU seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    full = {row["preset"]: row for row in record["cost"] if row["mode"] == "full"}
    return (
        "\n".join([*lines, *(_cost_line(row, full[row["preset"]]) for row in record["cost"])])
        + "\n"
    )


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}"


def _cost_line(row: dict[str, Any], full: dict[str, Any]) -> str:
    kept, alone = "gradient_optimizer_bytes", "gradient_optimizer_bytes_of_backbone"
    cells = [
        f"{row['trained'] / row['parameters']:.2%}",
        f"{row['trained_in_backbone'] / row['parameters']:.2%}",
        f"{row[kept] / 2**20:.2f}",
        f"{row[kept] / full[kept]:.1%}",
        f"{row[alone] / full[alone]:.1%}",
        f"{row['extra_memory_mib']:.0f}",
        f"{row['cpu_seconds_a_step']:.2f}",
    ]
    return f"| `{row['preset']}`, `{row['mode']}` | {' | '.join(cells)} |"


def main() -> None:
    """Measure the cost, then the quality; what is done is kept after every run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--presets", nargs="*", default=["micro", "tiny", "small", "base"])
    parser.add_argument("--checkpoint", help="folder to start from; without it a new backbone")
    parser.add_argument("--epochs", type=int, default=FineTuneParams().max_epochs)
    chosen = parser.parse_args()
    start = BackboneParams(checkpoint=chosen.checkpoint)
    record: dict[str, Any] = {
        "machine": describe_machine(),
        "start": "a checkpoint" if chosen.checkpoint else f"a new `{start.preset}`",
        "fine_tuning": FineTuneParams(max_epochs=chosen.epochs).model_dump(mode="json"),
        "cost": [],
        "quality": [],
    }
    parts = prepare(0, chosen.checkpoint)
    for preset in chosen.presets:
        for mode in MODES:
            record["cost"].append(cost(mode, parts, BackboneParams(preset=preset)))
            keep(record)
    for seed in chosen.seeds:
        parts = prepare(seed, chosen.checkpoint)
        for mode in MODES:
            record["quality"].append(quality(mode, copy.deepcopy(parts), start, chosen.epochs))
            keep(record)
            print(json.dumps(record["quality"][-1]), flush=True)
    print(markdown(record))


def keep(record: dict[str, Any]) -> None:
    """Write what has run so far."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "lora.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "lora.md").write_text(markdown(record))


if __name__ == "__main__":
    main()
