"""The training loop of a task model (one process, early stopping on a validation set), and inference.

Independent of tasks: the model provides loss and targets, progress is reported through a callable.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sc_mamba2.errors import UserError
from sc_mamba2.genes import Vocabulary
from sc_mamba2.model import TaskModel, add_adapters, merge_adapters
from sc_mamba2.tokens import (
    Batch,
    Sampler,
    TokenizedCells,
    drop_genes,
    make_batch,
    reading_order,
    thin_cells,
)
from sc_mamba2.training.optimization import rate_factor
from sc_mamba2.training.options import FitOptions


@dataclass(frozen=True)
class Epoch:
    """Result of one epoch; losses are means per cell."""

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
    """Train a task model in place, ending with the weights of its best epoch.

    Frozen weights (without `requires_grad`) stay frozen. Adapters are merged at the end.

    Parameters
    ----------
    model
        Any task model; its `targets` are read from the tokens' `obs`.
    training, validation
        Disjoint cells. The validation cells are only used to choose the epoch.
    vocabulary
        Vocabulary of the tokens, for pads and `<cls>`.
    options
        Rates, batch size, patience.
    seed
        Seed of the cells' order, thinning and gene dropout; weight dropout uses torch's generator.
    device
        Where to train; the model stays there.
    on_step
        Called after every step with the step, from 1, and the maximal number of steps.

    Returns
    -------
    list of dict
        The history, one `Epoch` per row.

    Raises
    ------
    UserError
        Rule `loss-not-finite`, before the weights are changed, naming cells of the batch.
    """
    model.to(device)
    fixed = [weight for weight in model.parameters() if not weight.requires_grad]
    if options.mode == "lora":
        add_adapters(model.backbone, options.lora_rank, options.lora_alpha)
    elif options.mode == "frozen":
        model.backbone.requires_grad_(False)
    trainer = _Trainer(model, training, vocabulary, options, seed, device, on_step)
    best = _Best(_changing_state(model))
    history: list[dict[str, Any]] = []
    if options.keep_start:
        loss = mean_loss(model, validation, vocabulary, options.batch_size, device)
        best.offer(loss, model)
        history.append(asdict(Epoch(0, float("nan"), loss, 0.0, 0.0, best=True)))
    for epoch in range(1, options.max_epochs + 1):
        training_loss, tokens_per_second = trainer.run_epoch(epoch)
        validation_loss = mean_loss(model, validation, vocabulary, options.batch_size, device)
        if not math.isfinite(validation_loss):
            raise _not_finite("the validation cells")
        row = Epoch(
            epoch=epoch,
            training_loss=training_loss,
            validation_loss=validation_loss,
            learning_rate=float(trainer.schedule.get_last_lr()[0]),
            tokens_per_second=tokens_per_second,
            best=best.offer(validation_loss, model),
        )
        history.append(asdict(row))
        if best.waited >= options.patience:
            break
    model.load_state_dict(best.state, strict=False)
    merge_adapters(model.backbone)
    model.requires_grad_(True)
    for weight in fixed:
        weight.requires_grad_(False)
    return history


def _changing_state(model: TaskModel) -> dict[str, Tensor]:
    """Copy the state that training can change: trainable weights and buffers."""
    fixed = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    return {
        name: tensor.clone() for name, tensor in model.state_dict().items() if name not in fixed
    }


@dataclass
class _Best:
    """The weights with the lowest validation loss, and the epochs since then."""

    state: dict[str, Tensor]
    loss: float = float("inf")
    waited: int = 0

    def offer(self, loss: float, model: TaskModel) -> bool:
        """Keep the model's weights if `loss` is the lowest so far; return whether it was."""
        if loss < self.loss:
            self.state, self.loss, self.waited = _changing_state(model), loss, 0
            return True
        self.waited += 1
        return False


@dataclass
class _Trainer:
    """Model, optimizer and data of one training."""

    model: TaskModel
    tokens: TokenizedCells
    vocabulary: Vocabulary
    options: FitOptions
    seed: int
    device: torch.device
    on_step: OnStep

    def __post_init__(self) -> None:
        options = self.options
        groups = self.model.parameter_groups(options.learning_rate, options.weight_decay)
        self.targets = _to(self.model.targets(self.tokens.obs), self.device)
        self.steps_an_epoch = -(-len(self.tokens) // options.batch_size)
        self.steps = options.max_epochs * self.steps_an_epoch
        self.optimizer = torch.optim.AdamW(groups)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer,
            lambda step: rate_factor(
                step, self.steps, options.warmup_share, options.final_rate_share
            ),
        )

    def run_epoch(self, epoch: int) -> tuple[float, float]:
        """Train on every cell once; return the mean loss per cell and the tokens per second."""
        started, total = time.perf_counter(), 0.0
        rules = self.model.tokenizer.rules
        tokens = thin_cells(self.tokens, self.options.least_depth, rules, self.seed, epoch)
        tokens = drop_genes(tokens, self.options.gene_dropout, self.seed, epoch)
        sampler = Sampler(tokens.lengths, self.options.batch_size, self.seed, block=1)
        first = 1 + (epoch - 1) * self.steps_an_epoch
        for step, cells in enumerate(sampler.batches(epoch), start=first):
            total += self.step(tokens, cells) * len(cells)
            self.on_step(step, self.steps)
        seconds = time.perf_counter() - started
        return total / len(tokens), (len(tokens.gene_rows) + len(tokens)) / seconds

    def step(self, tokens: TokenizedCells, cells: np.ndarray) -> float:
        """Take one optimizer step on the given cells; return their mean loss."""
        self.model.train()
        if self.options.mode == "frozen":
            self.model.backbone.eval()  # no dropout, no updates of running statistics
        batch = make_batch(tokens, cells, self.vocabulary).to(self.device)
        loss = self.model.loss(
            batch, {name: all_[batch.cells_B] for name, all_ in self.targets.items()}
        )
        if not torch.isfinite(loss):
            raise self._not_finite(cells)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.options.gradient_clip)
        if not torch.isfinite(norm):
            raise self._not_finite(cells)
        self.optimizer.step()
        self.schedule.step()
        return float(loss.detach())

    def _not_finite(self, cells: np.ndarray) -> UserError:
        names = ", ".join(map(str, self.tokens.obs.index[cells[:3]]))
        return _not_finite(f"the batch of the cells {names}, …")


def _not_finite(where: str) -> UserError:
    return UserError(
        "loss-not-finite",
        found=f"a non-finite loss or gradient in {where}",
        expected="finite numbers",
        mend="lower the learning rate, or check these cells",
    )


@torch.no_grad()
def mean_loss(
    model: TaskModel,
    tokens: TokenizedCells,
    vocabulary: Vocabulary,
    batch_size: int,
    device: torch.device,
) -> float:
    """Return the mean loss per cell in evaluation mode."""
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


@torch.no_grad()
def run_over_cells(
    outputs_of: Callable[[Batch], dict[str, Tensor]],
    tokens: TokenizedCells,
    vocabulary: Vocabulary,
    batch_size: int,
    device: torch.device,
) -> dict[str, np.ndarray]:
    """Collect a function's outputs over all cells.

    Parameters
    ----------
    outputs_of
        Maps a batch of B cells to named tensors with first dimension B, e.g. a model's `predict`.
    tokens, vocabulary
        N cells, and the vocabulary of their tokens.
    batch_size
        Cells per batch; affects the speed, not the result.
    device
        Device of the function's model.

    Returns
    -------
    dict of ndarray
        Each output with first dimension N, float32, in the order of `tokens`.
    """
    collected: dict[str, np.ndarray] = {}
    for cells in reading_order(tokens.lengths, batch_size):
        for name, tensor in outputs_of(make_batch(tokens, cells, vocabulary).to(device)).items():
            if name not in collected:
                collected[name] = np.zeros((len(tokens), *tensor.shape[1:]), dtype=np.float32)
            collected[name][cells] = tensor.float().cpu().numpy()
    return collected
