"""What a person may choose about a training and about the machine it runs on."""

from typing import Literal, Self

from pydantic import Field, model_validator

from sc_mamba2.ops.options import ScanPath
from sc_mamba2.tokens.options import Options


class ComputeOptions(Options):
    """Chance and machine, shared by every node of a run."""

    seed: int = Field(0, ge=0, lt=2**32, description="seed of every source of chance")
    deterministic: bool = Field(
        False,
        description="whether to compute with one thread, so that a seed gives one result whatever the number of "
        "cores",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where the model runs")
    scan_path: ScanPath = Field(
        "auto", description="implementation of the scan; auto takes the fastest that runs here"
    )
    recompute_layers: bool = Field(
        False,
        description="whether training keeps a layer's input alone and computes it again for the "
        "gradient: a fifth of the memory, about a third more time",
    )


class FitOptions(Options):
    """One training run of a task model: AdamW, linear warm-up, cosine decay, early stopping."""

    learning_rate: float = Field(3e-3, gt=0, le=1, description="highest rate of AdamW")
    weight_decay: float = Field(0.01, ge=0, le=1, description="decay of matrices, none on vectors")
    batch_size: int = Field(32, ge=1, le=65536, description="cells a step")
    max_epochs: int = Field(30, ge=1, description="epochs at most")
    patience: int = Field(
        4, ge=1, description="epochs without a better validation loss before the training stops"
    )
    keep_start: bool = Field(
        False,
        description="whether the model as it starts counts as epoch 0 when the best epoch is chosen",
    )
    warmup_share: float = Field(
        0.05, ge=0, lt=1, description="share of the steps with a rising rate"
    )
    final_rate_share: float = Field(0.1, ge=0, le=1, description="last rate over the highest")
    gene_dropout: float = Field(
        0.3, ge=0, lt=1, description="share of a cell's genes that an epoch leaves out by chance"
    )
    least_depth: float = Field(
        1.0,
        gt=0,
        le=1,
        description="smallest share of its depth at which an epoch sees a cell; each is thinned to a "
        "share drawn from here to 1; 1: none is",
    )
    gradient_clip: float = Field(1.0, gt=0, description="largest L2 norm of the gradient")
    mode: Literal["full", "lora", "frozen"] = Field(
        "full",
        description="what is trained beside the head: full: all of the backbone; lora: low-rank "
        "adapters on the projections of its mixers; frozen: nothing",
    )
    lora_rank: int = Field(4, ge=1, le=1024, description="rank of the adapters")
    lora_alpha: float = Field(
        8.0, gt=0, description="strength of the adapters; their change is scaled by alpha / rank"
    )


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
    gene_cells: int = Field(
        1,
        ge=1,
        description="training cells that express a gene, at least, for it to be in the vocabulary",
    )
    type_cells: int = Field(
        20,
        ge=1,
        description="training cells that are of a type, at least, and that are not, for it to be told",
    )
    start_cells: int = Field(20_000, ge=2, description="cells that the starts look at, at most")


class HeldOut(Options):
    """Which cells judge the training and are never trained on."""

    column: str = Field("study", description="column of obs that tells the cells apart")
    values: tuple[str, ...] = Field((), description="values that are held out; none, no judgement")


class SamplingOptions(Options):
    """In which order cells are read, and how often."""

    block: int = Field(64, ge=1, description="neighbouring cells that are read together")
    window: int = Field(100, ge=1, description="batches that are sorted by length together")
    column: str | None = Field(None, description="column of obs whose values have shares; or none")
    shares: dict[str, float] = Field({}, description="relative share of the draws by value")
    power: float = Field(
        1.0,
        ge=0,
        le=1,
        description="without shares: power of a value's number of cells that its share is; 1: as the cells "
        "are, 0: all values alike",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.column is None) != (not self.shares and self.power == 1):
            raise ValueError("column goes together with shares or power: give both, or neither")
        return self


class PretrainOptions(Options):
    """One pretraining: AdamW, linear warm-up, cosine decay."""

    objective: Literal["molecules", "bins"] = Field(
        "bins",
        description="what is predicted: molecules left out of a cell, of tokens that are counts; or masked "
        "bins, as the release does",
    )
    steps: int = Field(1000, ge=1, description="optimizer steps")
    batch_size: int = Field(64, ge=1, description="cells a step, over all processes")
    micro_batch_size: int = Field(
        16, ge=1, description="cells that one process holds at a time; gradients are added up"
    )
    learning_rate: float = Field(1e-3, gt=0, le=1, description="highest rate of AdamW")
    weight_decay: float = Field(0.01, ge=0, le=1, description="decay of matrices, none on vectors")
    warmup_share: float = Field(
        0.05, ge=0, lt=1, description="share of the steps with a rising rate"
    )
    final_rate_share: float = Field(0.1, ge=0, le=1, description="last rate over the highest")
    gradient_clip: float = Field(1.0, gt=0, description="largest L2 norm of the gradient")
    average_decay: float = Field(
        0.0, ge=0, lt=1, description="decay a step of the running mean of the weights; 0 for none"
    )
    precision: Literal["fp32", "bf16", "fp64"] = Field(
        "fp32",
        description="bf16: projections in half, weights and scan in single; fp64: all in double, "
        "to compare runs",
    )
    sharded: bool = Field(
        False, description="whether processes hold shards (FSDP2) or copies (DDP) of the model"
    )

    @model_validator(mode="after")
    def _can_be_averaged(self) -> Self:
        if self.sharded and self.average_decay:
            raise ValueError("average_decay needs whole weights: set it to 0, or sharded to false")
        return self
