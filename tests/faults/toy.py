"""A training in miniature with real checkpoints, journal and signals; every step a function of its number."""

import os
import time
from pathlib import Path

import torch
from tests.zygote import say
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_state_dict,
    set_state_dict,
)

from sc_mamba2.genes import Vocabulary
from sc_mamba2.training import (
    Journal,
    ModelContent,
    TrainingCheckpoints,
    TrainingState,
    flatten_optimizer,
    stop_on_signals,
    unflatten_optimizer,
)

NAMES = ("<pad>", "<cls>", "ENSG00000000001")
OPTIONS = StateDictOptions(full_state_dict=True, cpu_offload=True)
STEPS, EVERY = 60, 10


def content(state: dict) -> ModelContent:
    return ModelContent(state, {"task": "toy"}, Vocabulary("toy", NAMES, NAMES), "# Toy\n")


def numbers(step: int, kind: int) -> torch.Tensor:
    return torch.randn(7, 5, generator=torch.Generator().manual_seed(100 * step + kind))


def save_numbers(checkpoints: TrainingCheckpoints, step: int, kinds: int = 2) -> None:
    """Save what `holds_numbers` expects; the metric is best at step 1."""
    checkpoints.save(
        step,
        model=content({"weight": numbers(step, 0)}),
        tensors={f"kind_{kind}": {"a.b": numbers(step, kind)} for kind in range(1, kinds + 1)},
        state={"step": step, "seed": 1 / 3},
        metric=float(step),
    )


def holds_numbers(found: TrainingState) -> bool:
    """Say whether every bit of a checkpoint is what `save_numbers` gave it."""
    return (
        found.path.name == f"step-{found.step:09d}"
        and found.state == {"step": found.step, "seed": 1 / 3}
        and found.metric == found.step
        and torch.equal(found.checkpoint.state["weight"], numbers(found.step, 0))
        and len(found.tensors) > 0
        and all(
            torch.equal(named["a.b"], numbers(found.step, int(kind[-1])))
            for kind, named in found.tensors.items()
        )
    )


def train(run: str, waits: bool = False) -> int:
    """Train to the end or to a signal, on from the newest checkpoint; return the exit code.

    One that `waits` is slow, and does not come to its end before a signal.
    """
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    with TrainingCheckpoints(run, keep_last=2) as checkpoints, stop_on_signals() as stop:
        step = start = _resume(checkpoints.newest(), model, optimizer)
        with Journal(Path(run) / "journal.jsonl", start) as journal:
            say("ready")
            for step in range(start + 1, STEPS + 1):
                loss = _update(model, optimizer, step)
                while waits and not stop.requested:
                    time.sleep(0.004)
                    if step < STEPS:
                        break
                ends = stop.requested
                if ends or step % EVERY == 0:
                    journal.write(step, loss=loss, seconds=time.monotonic())
                    _save(checkpoints, step, model, optimizer, loss)
                if ends:
                    break
    say(step)
    return stop.exit_code


def hold(run: str, fork: bool) -> int:
    """Hold the run's lock for long, with a worker that outlives this process if `fork`."""
    with TrainingCheckpoints(run):
        if not fork or os.fork() == 0:
            say(os.getpid())
        time.sleep(60)
    return 0


def _update(model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> float:
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(step))
    loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def _save(checkpoints, step, model, optimizer, loss) -> None:
    weights, optimizer_state = get_state_dict(model, optimizer, options=OPTIONS)
    tensors, table = flatten_optimizer(optimizer_state)
    checkpoints.save(
        step,
        model=content(weights),
        tensors={"optimizer": tensors},
        state={"optimizer": table},
        metric=loss,
    )


def _resume(found: TrainingState | None, model, optimizer) -> int:
    if found is None:
        return 0
    optimizer_state = unflatten_optimizer(found.tensors["optimizer"], found.state["optimizer"])
    set_state_dict(
        model,
        optimizer,
        model_state_dict=found.checkpoint.state,
        optim_state_dict=optimizer_state,
        options=OPTIONS,
    )
    return found.step
