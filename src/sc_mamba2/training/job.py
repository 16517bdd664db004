"""What a pretraining is asked to do, as one table that another process or machine can read."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from sc_mamba2.errors import UserError
from sc_mamba2.model import PRESETS
from sc_mamba2.model.objective import ObjectiveOptions
from sc_mamba2.tokens import MaskOptions, Options
from sc_mamba2.training.masked_cells import HeldOut, SamplingOptions
from sc_mamba2.training.options import ComputeOptions
from sc_mamba2.training.pretraining import PretrainOptions


class KeepOptions(Options):
    """What is written while the training runs, and how often."""

    log_every: int = Field(10, ge=1, description="steps between lines of the journal")
    judge_every: int = Field(200, ge=1, description="steps between looks at held-out cells")
    judge_cells: int = Field(512, ge=1, description="held-out cells that are looked at, at most")
    gene_mean_cells: int = Field(
        4096, ge=1, description="training cells that give the gene means beside, at most"
    )
    checkpoint_every: int = Field(200, ge=1, description="steps between checkpoints")
    keep_last: int = Field(3, ge=1, description="checkpoints that stay, beside the best")
    tensorboard: bool = Field(False, description="whether TensorBoard's log is written too")


class Shape(Options):
    """Shape of a new model."""

    preset: str = Field("tiny", description="named shape: micro, tiny, small, base, …")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of numbers dropped in training")
    cell_start: Literal["token", "genes"] = Field(
        "genes",
        description="what enters the trunk at <cls>: its own embedding, or that and the sum of the "
        "cell's genes, each times its value",
    )
    gene_start: Literal["random", "svd"] = Field(
        "svd", description="gene embeddings at the start: random, or from a truncated SVD of cells"
    )
    start_scale: float = Field(
        0.05, gt=0, description="root mean square of the gene embeddings that SVD gives"
    )
    start_cells: int = Field(20_000, ge=2, description="cells that the starts look at, at most")


class PretrainJob(Options):
    """One pretraining: `store` is the folder of tokens, `run` that of all it writes."""

    store: Path
    run: Path
    shape: Shape = Shape()
    masks: MaskOptions = MaskOptions()
    sampling: SamplingOptions = SamplingOptions()
    objective: ObjectiveOptions = ObjectiveOptions()
    training: PretrainOptions = PretrainOptions()
    held_out: HeldOut = HeldOut()
    keep: KeepOptions = KeepOptions()
    compute: ComputeOptions = ComputeOptions()

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if self.masks.channel != "bins":
            raise ValueError("masks.channel must be bins: the heads tell bins")
        if not self.masks.max_ratio and not self.masks.zero_share:
            raise ValueError("nothing is masked: raise masks.max_ratio or masks.zero_share")
        if PRESETS.get(self.shape.preset, {}).get("input_norm") == "batch":
            raise ValueError(
                f"shape.preset {self.shape.preset} has batch norm, whose statistics depend on how a "
                "batch is divided: choose micro, tiny, small or base"
            )
        return self

    @classmethod
    def build(cls, **fields: Any) -> Self:
        """Build a job from its groups, or raise a `UserError` of the rule `pretraining-options`."""
        try:
            return cls(**fields)
        except ValidationError as error:
            found = "; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors())
            raise UserError(
                "pretraining-options",
                found=found,
                expected="options of pretraining that go together",
                mend="correct them in conf/base/parameters/pretraining.yml, or with --params",
            ) from error

    def identity(self, store_sha256: str) -> str:
        """Hash what decides the weights: a run folder holds one such training only.

        Where it runs, in how many processes and what it writes on the way do not belong to it.
        """
        table = self.model_dump(mode="json", exclude={"store", "run", "keep", "compute"})
        for free in ("micro_batch_size", "sharded"):
            table["training"].pop(free)
        table |= {"store": store_sha256, "seed": self.compute.seed}
        return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()
