"""What a person may choose about a training and about the machine it runs on."""

from typing import Literal

from pydantic import Field

from sc_mamba2.ops import ScanPath
from sc_mamba2.tokens import Options


class ComputeOptions(Options):
    """Chance and machine, shared by every node of a run."""

    seed: int = Field(0, ge=0, lt=2**32, description="seed of every source of chance")
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
