"""User options for training and the hardware it runs on."""

from typing import Literal, Self

from pydantic import Field, model_validator

from sc_mamba2.ops.options import ScanPath
from sc_mamba2.tokens.options import Options


class ComputeOptions(Options):
    """Random seed and hardware, shared by all nodes of a run."""

    seed: int = Field(0, ge=0, lt=2**32, description="seed of all random number generators")
    deterministic: bool = Field(
        False,
        description="whether to use a single thread, so that results for a seed do not depend on the "
        "number of cores",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="device of the model; auto: a GPU if available"
    )
    scan_path: ScanPath = Field(
        "auto", description="implementation of the scan; auto: the fastest available"
    )
    recompute_layers: bool = Field(
        False,
        description="whether training keeps only each layer's input (activation checkpointing): a fifth "
        "of the memory, about a third more time",
    )


class FitOptions(Options):
    """One training run of a task model: AdamW, linear warm-up, cosine decay, early stopping."""

    learning_rate: float = Field(3e-3, gt=0, le=1, description="peak learning rate of AdamW")
    weight_decay: float = Field(
        0.01, ge=0, le=1, description="weight decay of matrices; vectors have none"
    )
    batch_size: int = Field(32, ge=1, le=65536, description="cells per step")
    max_epochs: int = Field(30, ge=1, description="maximum number of epochs")
    patience: int = Field(
        4, ge=1, description="epochs without a lower validation loss before training stops"
    )
    keep_start: bool = Field(
        False,
        description="whether the initial model counts as epoch 0 when choosing the best epoch",
    )
    warmup_share: float = Field(
        0.05, ge=0, lt=1, description="fraction of the steps with linear warm-up"
    )
    final_rate_share: float = Field(
        0.1, ge=0, le=1, description="final learning rate as a fraction of the peak"
    )
    gene_dropout: float = Field(
        0.3, ge=0, lt=1, description="fraction of a cell's genes dropped at random in each epoch"
    )
    least_depth: float = Field(
        1.0,
        gt=0,
        le=1,
        description="minimum fraction of its depth to which each epoch thins a cell, drawn uniformly from "
        "here to 1; 1: no thinning",
    )
    gradient_clip: float = Field(1.0, gt=0, description="maximum L2 norm of the gradient")
    mode: Literal["full", "lora", "frozen"] = Field(
        "full",
        description="what to train besides the head: full: the whole backbone; lora: low-rank adapters on "
        "the projections of its mixers; frozen: nothing",
    )
    lora_rank: int = Field(4, ge=1, le=1024, description="rank of the LoRA adapters")
    lora_alpha: float = Field(
        8.0, gt=0, description="scale of the adapters: their update is multiplied by alpha / rank"
    )


class KeepOptions(Options):
    """Logging, evaluation and checkpoints during training."""

    log_every: int = Field(10, ge=1, description="steps between journal entries")
    judge_every: int = Field(200, ge=1, description="steps between evaluations on held-out cells")
    judge_cells: int = Field(512, ge=1, description="maximum number of held-out cells to evaluate")
    gene_mean_cells: int = Field(
        4096,
        ge=1,
        description="approximate number of training cells for the gene-mean baseline of the objective bins",
    )
    checkpoint_every: int = Field(200, ge=1, description="steps between checkpoints")
    keep_last: int = Field(3, ge=1, description="latest checkpoints to keep, besides the best")
    tensorboard: bool = Field(False, description="whether to write a TensorBoard log too")


class Shape(Options):
    """Architecture and initialisation of a new model."""

    preset: str = Field("tiny", description="named architecture: micro, tiny, small, base, …")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout probability")
    cell_start: Literal["token", "genes"] = Field(
        "genes",
        description="input of the trunk at <cls>, for the objective bins: token: its own embedding; "
        "genes: that plus the value-weighted sum of the cell's genes",
    )
    gene_start: Literal["random", "svd"] = Field(
        "svd",
        description="initial gene embeddings: random, or from a truncated SVD of training cells",
    )
    start_scale: float = Field(
        0.05, gt=0, description="root mean square of gene embeddings initialised by SVD"
    )
    gene_cells: int = Field(
        1,
        ge=1,
        description="minimum number of training cells expressing a gene for it to be in the vocabulary",
    )
    type_cells: int = Field(
        20,
        ge=1,
        description="minimum number of training cells in a type, and outside it, for it to be predicted",
    )
    start_cells: int = Field(
        20_000, ge=2, description="maximum number of training cells used for initialisation"
    )


class HeldOut(Options):
    """Held-out cells, used for evaluation only."""

    column: str = Field(
        "study",
        description="obs column that selects held-out cells; also every cell's study, for the objective molecules",
    )
    values: tuple[str, ...] = Field(
        (), description="values of this column to hold out; empty: no evaluation"
    )


class SamplingOptions(Options):
    """How training cells are sampled."""

    block: int = Field(64, ge=1, description="neighbouring cells read together")
    window: int = Field(100, ge=1, description="batches sorted by length together")
    column: str | None = Field(None, description="obs column whose values have shares; null: none")
    shares: dict[str, float] = Field(
        {}, description="relative share of the draws by value; unlisted values get none"
    )
    power: float = Field(
        1.0,
        ge=0,
        le=1,
        description="without shares: a value's share is its number of cells to this power; 1: "
        "proportional, 0: equal",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.column is None) != (not self.shares and self.power == 1):
            raise ValueError("column goes together with shares or power: give both, or neither")
        return self


class PretrainOptions(Options):
    """One pretraining run: AdamW, linear warm-up, cosine decay."""

    objective: Literal["molecules", "bins"] = Field(
        "bins",
        description="what to predict: molecules: a cell's left-out molecules, from tokens that are "
        "counts; bins: masked bins, as the release does",
    )
    steps: int = Field(1000, ge=1, description="optimizer steps")
    batch_size: int = Field(64, ge=1, description="cells per step, over all processes")
    micro_batch_size: int = Field(
        16, ge=1, description="maximum cells per process at a time; gradients are accumulated"
    )
    learning_rate: float = Field(1e-3, gt=0, le=1, description="peak learning rate of AdamW")
    weight_decay: float = Field(
        0.01, ge=0, le=1, description="weight decay of matrices; vectors have none"
    )
    warmup_share: float = Field(
        0.05, ge=0, lt=1, description="fraction of the steps with linear warm-up"
    )
    final_rate_share: float = Field(
        0.1, ge=0, le=1, description="final learning rate as a fraction of the peak"
    )
    gradient_clip: float = Field(1.0, gt=0, description="maximum L2 norm of the gradient")
    average_decay: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="decay per step of the exponential moving average of the weights; 0: no average",
    )
    precision: Literal["fp32", "bf16", "fp64"] = Field(
        "fp32",
        description="bf16: projections in bfloat16, weights and scan in float32; fp64: all in float64, to "
        "compare runs",
    )
    sharded: bool = Field(
        False, description="whether processes shard the model (FSDP2) or replicate it (DDP)"
    )

    @model_validator(mode="after")
    def _can_be_averaged(self) -> Self:
        if self.sharded and self.average_decay:
            raise ValueError("average_decay needs whole weights: set it to 0, or sharded to false")
        return self
