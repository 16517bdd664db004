"""The steps of pretraining, over masked or thinned batches, on one or many processes, resumable anywhere.

A step is a pure function of the weights, the optimizer state and the step number: cells, masks or
thinning, and dropout are drawn from (seed, step), independent of earlier steps. Writing is up to the
caller, `training.run`. B cells, L tokens, O parts of an objective.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from sc_mamba2.errors import UserError
from sc_mamba2.model.molecule_objective import MoleculeObjective
from sc_mamba2.model.objective import MaskedObjective
from sc_mamba2.model.task_model import parameter_groups
from sc_mamba2.tokens import rank_share
from sc_mamba2.training.optimization import (
    MovingAverage,
    flatten_optimizer,
    rate_factor,
    unflatten_optimizer,
)
from sc_mamba2.training.options import PretrainOptions
from sc_mamba2.training.ranks import BatchSource, Ranks, rank_batches, share_model

Objective = MaskedObjective | MoleculeObjective
_Loaded = tuple[np.ndarray, int, list[Any]]


@dataclass(frozen=True)
class Judged:
    """Evaluation of a model on held-out cells.

    Attributes
    ----------
    loss
        Compares checkpoints: lower is better.
    named
        Entries of the journal.
    """

    loss: float
    named: dict[str, float]


@dataclass(frozen=True)
class Step:
    """Result of one step, over all processes; losses are means over the predictions of each part."""

    step: int
    epoch: int
    loss: float
    parts: dict[str, float]
    gradient_norm: float
    learning_rate: float
    tokens: int  # real ones, including `<cls>` and masked zeros


class Pretrainer:
    """Model and optimizer of one pretraining, on one of its processes.

    Parameters
    ----------
    objective
        Model and losses, identical on every process; moved to the device.
    source
        Source of batches.
    options
        Steps, rates, sizes.
    seed
        Seed of dropout.
    ranks
        This process among all.
    """

    def __init__(
        self,
        objective: Objective,
        source: BatchSource,
        options: PretrainOptions,
        seed: int,
        ranks: Ranks,
    ) -> None:
        kind = torch.float64 if options.precision == "fp64" else torch.float32
        self.objective = objective.to(ranks.device, kind)
        self.source, self.options, self.seed, self.ranks = source, options, seed, ranks
        layers = objective.model.backbone.layers
        self.module = share_model(objective, layers, ranks, options.sharded)
        groups = parameter_groups(self.module, options.learning_rate, options.weight_decay)
        on_gpu = ranks.device.type == "cuda"
        self.optimizer = torch.optim.AdamW(groups, fused=on_gpu)
        # A thread prepares the next batches while a GPU works; a CPU has no core to spare.
        self.ahead = ThreadPoolExecutor(1) if on_gpu else None
        self.next: tuple[int, Future[_Loaded]] | None = None
        self.average = MovingAverage(objective.model, options.average_decay)

    def take(self, step: int) -> Step:
        """Take one optimizer step; steps are numbered from 0.

        Raises
        ------
        UserError
            Rule `loss-not-finite`, on every process and before the update, naming cells of the process
            where it happened.
        """
        cells, epoch, own = self._batches(step)
        # At least one: with few genes, a step may happen to have nothing to predict.
        counts_O = self._total(map(self.objective.target_counts, own)).clamp(min=1)
        real = self._total(part.lengths_B.sum() for part in own if len(part.cells_B))
        mixed = np.random.SeedSequence((self.seed, step, self.ranks.rank))
        torch.manual_seed(int(mixed.generate_state(1, np.uint64)[0] >> 1))
        self.module.train()
        self.optimizer.zero_grad(set_to_none=True)
        sums_O = torch.zeros_like(counts_O, dtype=torch.float64)
        for number, part in enumerate(own, start=1):
            with self._no_sync(number < len(own)):
                half = self.options.precision == "bf16"
                with torch.autocast(self.ranks.device.type, torch.bfloat16, enabled=half):
                    found = self.module(part)
                    # Processes average their gradients, but these losses are shares of one sum.
                    loss = self.objective.weighted_sum(found.sums_O / counts_O) * self.ranks.size
                loss.backward()
            sums_O += found.sums_O.detach()
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), self.options.gradient_clip)
        norm = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
        self._check_finite(step, sums_O, norm, cells)
        rate = self._set_rate(step)
        self.optimizer.step()
        self.average.update(self.objective.model, step)
        means_O = self.ranks.total(sums_O) / counts_O
        parts = dict(zip(self.objective.names, means_O.tolist(), strict=True))
        loss_value = float(self.objective.weighted_sum(means_O))
        return Step(step, epoch, loss_value, parts, float(norm), rate, int(real))

    def _batches(self, step: int) -> _Loaded:
        """Return a step's cells, their epoch and this process's batches, prepared ahead if possible."""
        made, self.next = self.next, None
        loaded = made[1].result() if made is not None and made[0] == step else self._load(step)
        if self.ahead is not None and step + 1 < self.options.steps:
            self.next = (step + 1, self.ahead.submit(self._load, step + 1))
        return loaded

    def _load(self, step: int) -> _Loaded:
        cells, epoch = self.source.cells(step)
        size = self.options.micro_batch_size
        return cells, epoch, list(rank_batches(self.source, cells, epoch, size, self.ranks))

    def _total(self, parts: Iterable[Tensor]) -> Tensor:
        zero = torch.zeros((), dtype=torch.int64, device=self.ranks.device)
        return self.ranks.total(sum(parts, start=zero))

    @contextlib.contextmanager
    def _no_sync(self, wanted: bool) -> Iterator[None]:
        """Skip gradient synchronisation if `wanted`: only the last micro-batch needs it."""
        if not wanted or self.ranks.size == 1:
            yield
        elif isinstance(self.module, nn.parallel.DistributedDataParallel):
            with self.module.no_sync():
                yield
        else:
            sharded: Any = self.module
            sharded.set_requires_gradient_sync(False)
            yield
            sharded.set_requires_gradient_sync(True)

    def _set_rate(self, step: int) -> float:
        options = self.options
        factor = rate_factor(step, options.steps, options.warmup_share, options.final_rate_share)
        for group in self.optimizer.param_groups:
            group["lr"] = options.learning_rate * factor
        return options.learning_rate * factor

    def _check_finite(self, step: int, sums_O: Tensor, norm: Tensor, cells: np.ndarray) -> None:
        both = torch.stack(
            [torch.isfinite(sums_O).all(), torch.isfinite(norm)]
        )  # one wait for a GPU
        own, whole = both.tolist()
        bad = not (own and whole)
        if not self.ranks.count(bad):
            return
        share = rank_share(cells, self.ranks.rank, self.ranks.size)
        gathered = self.ranks.gather(None if own else self.source.names(share))
        named = [
            f"process {rank}: {', '.join(names[:3])}, …"
            for rank, names in enumerate(gathered)
            if names
        ]
        where = "; ".join(named) or ", ".join(self.source.names(cells)[:3]) + ", …"
        raise UserError(
            "loss-not-finite",
            found=f"a non-finite loss or gradient in step {step}, cells of {where}",
            expected="finite numbers; the weights were not changed",
            mend="lower the learning rate, or check these cells",
        )


OPTIMIZER, AVERAGE = "optimizer", "average"
_PREFIX = "model."  # the model within its objective
_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


def shared_state(
    trainer: Pretrainer,
) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Gather the training state of all processes, for one to write; a collective call.

    The names are those of the model, whether it is on one process, replicated (DDP) or sharded (FSDP2).

    Returns
    -------
    weights
        By the model's names, on the CPU; empty on all processes but the first.
    tensors
        Further tensors by kind: the optimizer's, and the running mean of the weights.
    table
        The rest of the optimizer's state, JSON-serialisable.
    """
    weights: dict[str, Any] = get_model_state_dict(trainer.module, options=_WHOLE)
    found = get_optimizer_state_dict(trainer.module, trainer.optimizer, options=_WHOLE)
    moments, table = flatten_optimizer(found) if found else ({}, {})
    tensors = {OPTIMIZER: moments}
    if trainer.average.state:
        tensors[AVERAGE] = trainer.average.state
    return {name.removeprefix(_PREFIX): part for name, part in weights.items()}, tensors, table


def load_shared(
    trainer: Pretrainer,
    weights: Mapping[str, Tensor],
    tensors: Mapping[str, Mapping[str, Tensor]],
    table: Mapping[str, Any],
) -> None:
    """Restore a training from `shared_state`, on any number of processes."""
    named: dict[str, Any] = {f"{_PREFIX}{name}": part for name, part in weights.items()}
    set_model_state_dict(trainer.module, named, options=_WHOLE)
    optimizer = unflatten_optimizer(tensors[OPTIMIZER], table)
    set_optimizer_state_dict(trainer.module, trainer.optimizer, optimizer, options=_WHOLE)
    if trainer.average.state:
        trainer.average.load(tensors[AVERAGE])
