"""The specification of a pretraining, as one table that another process or machine can read."""

import hashlib
import json
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError, model_validator

from sc_mamba2.errors import UserError
from sc_mamba2.model import PRESETS
from sc_mamba2.model.options import MoleculeOptions, ObjectiveOptions
from sc_mamba2.tokens import MaskOptions, Options, ThinningOptions
from sc_mamba2.training.options import (
    ComputeOptions,
    HeldOut,
    KeepOptions,
    PretrainOptions,
    SamplingOptions,
    Shape,
)


class PretrainJob(Options):
    """One pretraining: `store` is the folder of tokens, `run` the output folder."""

    store: Path
    run: Path
    shape: Shape = Shape()
    masks: MaskOptions = MaskOptions()
    sampling: SamplingOptions = SamplingOptions()
    objective: ObjectiveOptions = ObjectiveOptions()
    thinning: ThinningOptions = ThinningOptions()
    molecules: MoleculeOptions = MoleculeOptions()
    training: PretrainOptions = PretrainOptions()
    held_out: HeldOut = HeldOut()
    keep: KeepOptions = KeepOptions()
    compute: ComputeOptions = ComputeOptions()

    @model_validator(mode="after")
    def _has_objective(self) -> Self:
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
        """Build a job from groups of options; raise a `UserError` (rule `pretraining-options`) if invalid."""
        try:
            return cls(**fields)
        except ValidationError as error:
            found = "; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors())
            raise UserError(
                "pretraining-options",
                found=found,
                expected="compatible pretraining options",
                mend="correct them in conf/base/parameters/pretraining.yml, or with --params",
            ) from error

    def identity(self, store_sha256: str) -> str:
        """Hash everything that determines the weights: a run folder belongs to one such training.

        Excludes where it runs, in how many processes, and what it writes on the way.
        """
        table = self.model_dump(mode="json", exclude={"store", "run", "keep", "compute"})
        for free in ("micro_batch_size", "sharded"):
            table["training"].pop(free)
        table |= {"store": store_sha256, "seed": self.compute.seed}
        return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()
