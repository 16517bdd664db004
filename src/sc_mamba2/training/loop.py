"""The training loop of a task model: one process, early stopping on a validation set.

It knows no task: the model brings its loss and its targets, progress goes out through a callable.
"""

import copy
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sc_mamba2.errors import UserError
from sc_mamba2.genes import Vocabulary
from sc_mamba2.model import TaskModel
from sc_mamba2.tokens import TokenizedCells, drop_genes, make_batch, reading_order, training_order
from sc_mamba2.training.options import FitOptions
from sc_mamba2.training.schedule import rate_factor


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to; losses are means a cell."""

    epoch: int
    training_loss: float
    validation_loss: float
    learning_rate: float
    tokens_per_second: float
    best: bool


OnStep = Callable[[int, int], None]


def fit(
    model: TaskModel,
    training: TokenizedCells,
    validation: TokenizedCells,
    vocabulary: Vocabulary,
    options: FitOptions,
    seed: int,
    device: torch.device,
    on_step: OnStep = lambda step, steps: None,
) -> list[dict[str, Any]]:
    """Train a task model in place and leave it with the weights of its best epoch.

    Parameters
    ----------
    model
        Any task model; its `targets` reads what it needs from the tokens' `obs`.
    training, validation
        Disjoint cells. The validation cells choose the epoch and nothing else.
    vocabulary
        Vocabulary of the tokens, for pads and `<cls>`.
    options
        Rates, batch size, patience.
    seed
        Fixes the order of the cells; dropout draws from torch's generator.
    device
        Where to train; the model stays there.
    on_step
        Called after every step with the step from 1 and the number of steps at most.

    Returns
    -------
    list of dict
        The history, one `Epoch` a row.

    Raises
    ------
    UserError
        The loss is not finite: before the weights are touched, with the cells of the batch.
    """
    model.to(device)
    if options.freeze != "nothing":
        part = model.backbone.layers if options.freeze == "layers" else model.backbone
        part.requires_grad_(False)
    optimizer = torch.optim.AdamW(
        model.parameter_groups(options.learning_rate, options.weight_decay)
    )
    steps_an_epoch = -(-len(training) // options.batch_size)
    steps = options.max_epochs * steps_an_epoch
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: rate_factor(step, steps, options.warmup_share, options.final_rate_share),
    )
    trainer = _Trainer(model, training, vocabulary, optimizer, schedule, options, device)
    history: list[dict[str, Any]] = []
    best_loss, best_state, waited = float("inf"), copy.deepcopy(model.state_dict()), 0
    for epoch in range(1, options.max_epochs + 1):
        started = time.perf_counter()
        losses = []
        seen = drop_genes(training, options.gene_dropout, seed, epoch)
        for cells in training_order(seen.lengths, options.batch_size, seed, epoch):
            losses.append(trainer.step(seen, cells) * len(cells))
            on_step((epoch - 1) * steps_an_epoch + len(losses), steps)
        seconds = time.perf_counter() - started
        validation_loss = mean_loss(model, validation, vocabulary, options.batch_size, device)
        better = validation_loss < best_loss
        if better:
            best_loss, best_state, waited = validation_loss, copy.deepcopy(model.state_dict()), 0
        else:
            waited += 1
        history.append(
            asdict(
                Epoch(
                    epoch=epoch,
                    training_loss=sum(losses) / len(training),
                    validation_loss=validation_loss,
                    learning_rate=schedule.get_last_lr()[0],
                    tokens_per_second=(len(seen.gene_rows) + len(seen)) / seconds,
                    best=better,
                )
            )
        )
        if waited >= options.patience:
            break
    model.load_state_dict(best_state)
    return history


@dataclass
class _Trainer:
    model: TaskModel
    tokens: TokenizedCells
    vocabulary: Vocabulary
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    options: FitOptions
    device: torch.device

    def __post_init__(self) -> None:
        self.targets = _to(self.model.targets(self.tokens.obs), self.device)

    def step(self, tokens: TokenizedCells, cells: np.ndarray) -> float:
        """Take one optimizer step on the given cells; return their mean loss."""
        self.model.train()
        batch = make_batch(tokens, cells, self.vocabulary).to(self.device)
        loss = self.model.loss(
            batch, {name: all_[batch.cells_B] for name, all_ in self.targets.items()}
        )
        if not torch.isfinite(loss):
            raise self._not_finite(cells)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.options.gradient_clip)
        if not torch.isfinite(norm):
            raise self._not_finite(cells)
        self.optimizer.step()
        self.schedule.step()
        return float(loss.detach())

    def _not_finite(self, cells: np.ndarray) -> UserError:
        names = ", ".join(map(str, self.tokens.obs.index[cells[:3]]))
        return UserError(
            "loss-not-finite",
            found=f"a loss or gradient that is not finite, in the batch of the cells {names}, …",
            expected="finite numbers",
            mend="lower the learning rate, or look at these cells",
        )


@torch.no_grad()
def mean_loss(
    model: TaskModel,
    tokens: TokenizedCells,
    vocabulary: Vocabulary,
    batch_size: int,
    device: torch.device,
) -> float:
    """Return the mean loss a cell in evaluation mode."""
    model.eval()
    targets = _to(model.targets(tokens.obs), device)
    total = 0.0
    for cells in reading_order(tokens.lengths, batch_size):
        batch = make_batch(tokens, cells, vocabulary).to(device)
        loss = model.loss(batch, {name: all_[batch.cells_B] for name, all_ in targets.items()})
        total += float(loss) * len(cells)
    return total / len(tokens)


def _to(targets: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: target.to(device) for name, target in targets.items()}
