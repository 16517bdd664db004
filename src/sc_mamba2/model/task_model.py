"""The base class of all fine-tuned models: a backbone and the heads of a task.

A fine-tuned model is saved as one checkpoint folder: backbone, head, tokenizer and settings together.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from pydantic import ValidationError
from torch import Tensor, nn

from sc_mamba2.errors import UserError
from sc_mamba2.model.backbone import Backbone
from sc_mamba2.model.config import ModelConfig, invalid_fields
from sc_mamba2.model.hub import OnHub
from sc_mamba2.model.manifest import card_text
from sc_mamba2.model.saving import load_state, read_checkpoint, write_checkpoint
from sc_mamba2.tokens import Batch, TokenizedCells, Tokenizer, TokenizerRules


class TaskModel(OnHub, nn.Module, ABC):
    """A backbone with the heads of one task. Tasks subclass it in `tasks/<task>/model.py`.

    The tokenizer is saved with the model.
    """

    task: ClassVar[str]
    run_id: str | None = None  # of the training run, for the model card
    trained_with: Mapping[str, Any] = MappingProxyType({})  # parameters of that run by dotted name

    def __init__(self, backbone: Backbone, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.backbone = backbone
        self.tokenizer = tokenizer

    @property
    def config(self) -> ModelConfig:
        """The config of the backbone."""
        return self.backbone.config

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the JSON-serialisable settings needed to rebuild the model besides backbone and tokenizer."""

    @classmethod
    @abstractmethod
    def from_settings(
        cls, backbone: Backbone, tokenizer: Tokenizer, settings: dict[str, Any]
    ) -> Self:
        """Build an untrained model from stored settings."""

    @abstractmethod
    def targets(self, obs: pd.DataFrame) -> dict[str, Tensor]:
        """Read the targets of the loss from the cells' table, each tensor with cells as first axis."""

    @abstractmethod
    def loss(self, batch: Batch, targets: dict[str, Tensor]) -> Tensor:
        """Compute the mean training loss of a batch, a scalar, given the `targets` of its cells."""

    @abstractmethod
    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the outputs of a batch by name, each with cells as first axis."""

    def card_facts(self) -> dict[str, Any]:
        """Return extra facts for the model card; none by default."""
        return {}

    def predictor(self, obs: pd.DataFrame) -> Callable[[Batch], dict[str, Tensor]]:
        """Return the `predict` function for the cells of a table; override if it depends on the table."""
        return self.predict

    def readable(self, tokens: TokenizedCells) -> TokenizedCells:
        """Return the part of the tokens that `predict` reads; override to leave genes out."""
        return tokens

    def gene_weights(self) -> np.ndarray:
        """Return how much the model relies on each token, (V,), to judge a file that lacks some of them.

        By default the squared norm of its embedding; override for more informative weights.
        """
        return squared_lengths(self.backbone)

    @property
    def is_fitted_directly(self) -> bool:
        """Whether `fit_directly` replaces training by gradients."""
        return False

    def fit_directly(
        self, parts: list[tuple[TokenizedCells, dict[str, np.ndarray]]], seed: int
    ) -> None:
        """Fit the head in one step, in place, on `parts`: training cells and the `predict` outputs for them."""
        raise NotImplementedError

    @property
    def learner(self) -> "TaskModel | None":
        """The part trained by gradients: the whole model, or `None` if it fits itself.

        Override, with `learner_tokens`, if a model fits itself but also holds a network.
        """
        return None if self.is_fitted_directly else self

    def learner_tokens(self, tokens: TokenizedCells) -> TokenizedCells:
        """Return the tokens as the `learner` reads them."""
        return tokens

    def parameter_groups(self, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Group the trainable parameters for an optimizer; override for other learning rates."""
        return parameter_groups(self, learning_rate, weight_decay)

    def sha256(self) -> str:
        """Hash the weights, by name and bit for bit: the model's identity, independent of storage."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def save_pretrained(self, folder: str | Path, *, more: str = "") -> None:
        """Write the model as a checkpoint folder, replacing an older checkpoint.

        `more` is Markdown appended to the model card.
        """
        vocabulary = self.tokenizer.vocabulary
        facts = {
            "parameters": sum(parameter.numel() for parameter in self.parameters()),
            "task settings": "see `settings` in config.json",
            **self.card_facts(),
        }
        if not more:
            facts["limits"] = "trained on one data set; judge it on your own labelled cells first"
        if self.run_id is not None:
            facts["run"] = self.run_id
        config = {
            "task": self.task,
            "model": self.backbone.config.model_dump(mode="json"),
            "tokenizer": self.tokenizer.rules.model_dump(mode="json"),
            "settings": self.settings(),
            "trained_with": dict(self.trained_with),
            "weights_sha256": self.sha256(),
        }
        write_checkpoint(
            folder,
            state=self.state_dict(),
            config=config,
            vocabulary=vocabulary,
            model_card=card_text(f"{self.task} model", self.backbone.config, vocabulary, facts)
            + (more and f"\n{more}"),
            overwrite=True,
        )

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """Read a model that `save_pretrained` wrote, in evaluation mode, on the CPU.

        Raises
        ------
        UserError
            The folder is broken (rules of `read_checkpoint`, `checkpoint-config`) or of another task
            (`checkpoint-task`).
        """
        checkpoint = read_checkpoint(folder)
        task = checkpoint.config.get("task")
        if task != cls.task:
            raise UserError(
                "checkpoint-task",
                found=f"a checkpoint of the task '{task}' in '{folder}'",
                expected=f"one of the task '{cls.task}'",
                mend=f"give a folder written by {cls.task}",
            )
        backbone = Backbone(checkpoint.model_config())
        try:
            rules = TokenizerRules(**checkpoint.config["tokenizer"])
            tokenizer = Tokenizer(checkpoint.vocabulary, rules)
            model = cls.from_settings(backbone, tokenizer, checkpoint.config["settings"])
        except (KeyError, TypeError, ValueError) as error:
            words = invalid_fields(error) if isinstance(error, ValidationError) else error
            raise UserError(
                "checkpoint-config",
                found=f"a missing or invalid setting in config.json of '{folder}' ({words})",
                expected=f"settings of the task {cls.task}, as this version writes them",
                mend="train it again, or use the version that wrote it",
            ) from error
        load_state(model, checkpoint.state)
        model.trained_with = dict(checkpoint.config.get("trained_with", {}))
        return model.eval()


def squared_lengths(backbone: Backbone) -> np.ndarray:
    """Return the squared norm of every token's embedding, (V,)."""
    table_VD = backbone.gene_embedding.weight.detach().float().cpu()
    return np.asarray(table_VD.square().sum(dim=1).numpy(), dtype=np.float64)


def parameter_groups(
    module: nn.Module, learning_rate: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Group the trainable parameters of a module for `torch.optim`, without empty groups.

    Weight decay applies to matrices, not to vectors (biases, norms, `A_log`, `D`, `dt_bias`); all groups
    have the same learning rate.
    """
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trainable if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.dim() < 2], "weight_decay": 0.0},
    ]
    return [{**group, "lr": learning_rate} for group in groups if group["params"]]
